"""The files of a finished run: rankings, per-query measures, student, and `record.json`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from optical_sweeps.corpora.collections import Split
from optical_sweeps.corpora.drawn_pairs import MixtureReport
from optical_sweeps.encoders.saved_encoders import save_student
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs import provenance
from optical_sweeps.runs.distillation.search_and_evaluate import (
    EvaluationResult,
    write_per_query,
    write_rankings,
)
from optical_sweeps.runs.shared.collection_search import PruningPrice
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.fit import TrainingResult

UNTRAINED: Mapping[str, object] = {"training": {"steps": 0}, "resumed_from": []}
"""Training facts of a run that trains nothing."""


def write_results(
    spec: RunSpec,
    results: Sequence[EvaluationResult],
    student: TokenEncoder,
    teacher: TokenEncoder,
    folder: Path,
) -> tuple[Path, list[Path]]:
    """Write everything but the record; returns the per-query measures and the run files."""
    for result in results:
        write_rankings(result, folder / "runs", tag=spec.id)
    per_query = folder / "per_query.parquet"
    write_per_query(per_query, *results)
    save_student(student, teacher, folder / "checkpoints")
    return per_query, sorted((folder / "runs").glob("*.trec.gz"))


def training_facts(result: TrainingResult, drawn: MixtureReport) -> Mapping[str, object]:
    """What the record says about a training."""
    return {
        "training": {
            "steps": result.steps,
            "best_step": result.best_step,
            "pairs": result.pairs,
            "tokens": result.tokens,
            "drawn": drawn.as_dict(),
        },
        "resumed_from": list(result.attempts[1:]),
    }


def run_facts(
    spec: RunSpec,
    results: Sequence[EvaluationResult],
    prices: Mapping[Split, PruningPrice],
    usage: Mapping[str, float],
    drift: Mapping[str, float],
    device: str,
) -> Mapping[str, object]:
    """What the record says about the run and its measures."""
    return {
        "id": spec.id,
        "label": spec.label,
        "config": spec.config,
        "facts": spec.facts(),
        "measures": {result.split: result.nested() for result in results},
        "changed": {result.split: dict(result.changed) for result in results if result.changed},
        "search": {
            split: {"how": how.label, **({"price": asdict(prices[split])} if split in prices else {})}
            for split, how in spec.evaluation.searches.items()
        },
        "collections": _collections(spec),
        "bitext": _bitext_reports(spec),
        "usage": {key.removeprefix("usage/"): value for key, value in usage.items()},
        "drift": {key.removeprefix("drift/"): value for key, value in drift.items()},
        "code": provenance.code_version(),
        "versions": provenance.versions(),
        "hardware": provenance.hardware(device),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def search_metrics(prices: Mapping[Split, PruningPrice]) -> dict[str, float]:
    """What pruning costs the student, under flat names for the tracker, such as `test/pruning/loss`."""
    return {
        f"{split}/pruning/{name}": value
        for split, price in prices.items()
        for name, value in (("kept", price.kept), ("loss", price.loss))
    }


def _collections(spec: RunSpec) -> dict[str, object]:
    """Query and document language of each collection, and the items that were skipped."""
    collections = {language: spec.corpus.collection(language, "test") for language in spec.languages.all}
    return {
        language: {
            "query_language": collection.query_language,
            "document_language": collection.document_language,
            "left_out": dict(collection.left_out),
        }
        for language, collection in collections.items()
    }


def _bitext_reports(spec: RunSpec) -> dict[str, object]:
    """Pairs that reading and filtering the bitext kept and dropped, if the corpus counts them."""
    if not hasattr(spec.corpus, "bitext_reports"):
        return {}
    return {language: report.as_dict() for language, report in spec.corpus.bitext_reports().items()}
