"""Scores derived again from run files and judgements, and held against every place that says what they are."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from optical_sweeps.corpora.collections import unperturbed
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.judging import judge
from optical_sweeps.evaluation.measures import Measure, macro_average
from optical_sweeps.report.sweep_runs import SweepRun, read_runs
from optical_sweeps.retrieval.runs import read_run
from optical_sweeps.sweeps.grid import Grid

Verdict = Literal["OK", "close", "FAIL"]
Scores = dict[str, float]
"""By `split/measure/slice`, as in logs."""

EXACT, CLOSE = 1e-9, 1e-4
"""Up to here a score is OK (sums in another order), and close (a log that was rounded)."""


@dataclass(frozen=True)
class Cell:
    """One score, derived and as it stands elsewhere.

    Args:
        beside: what it was held against.
        note: why there is nothing to compare.
    """

    verdict: Verdict
    label: str
    score: str
    beside: str
    derived: float | None
    there: float | None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verdict(first: float | None, second: float | None, ok: float = EXACT, close: float = CLOSE) -> Verdict:
    """How near two scores are; one that is missing or no number fails.

    >>> verdict(0.5, 0.5), verdict(0.5, 0.50005), verdict(0.5, 0.6), verdict(0.5, None)
    ('OK', 'close', 'FAIL', 'FAIL')
    """
    gap = math.inf if first is None or second is None else abs(first - second)
    return "OK" if gap <= ok else "close" if gap <= close else "FAIL"  # NaN is in no range


def check_logged(
    grid: Grid,
    *,
    warn: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Cell]:
    """Every score of every run that the grid asks for; a run that is not done is one FAIL.

    Raises:
        UserError: a record or a W&B log cannot be read.
    """
    runs = read_runs(grid)
    logs = _wandb(grid.folder, warn)
    cells: list[Cell] = []
    for number, run in enumerate(runs):
        progress(number, len(runs))
        cells += _check(run, logs.get(run.id))
    return cells


def _check(run: SweepRun, log: Scores | None) -> list[Cell]:
    if run.state != "done":
        return [Cell("FAIL", run.label, "all", "record", None, None, f"the run is {run.state}")]
    try:
        derived = derive(run)
    except (UserError, OSError) as error:
        return [Cell("FAIL", run.label, "all", "record", None, None, str(error))]
    beside = {"record": _of_record(run), "per query": _of_queries(run, derived)}
    if log is not None:
        beside["W&B log"] = log
    return [
        Cell(
            verdict(derived.get(score), there.get(score)),
            run.label,
            score,
            name,
            derived.get(score),
            there.get(score),
        )
        for name, there in beside.items()
        for score in (there if name == "per query" else dict.fromkeys((*derived, *there)))
    ]


def derive(run: SweepRun) -> Scores:
    """The scores of a finished run, from its run files and its corpus's judgements.

    Raises:
        UserError: a run file is missing or broken, or the corpus is not the one that the run was measured on.
    """
    from optical_sweeps.runs.spec.run_spec import Languages, build_part, content

    config, facts = run.record["config"], run.record.get("facts", {})
    settings = json.dumps(config["data"])
    if content("data", settings) != facts.get("corpus"):
        raise UserError("the corpus has changed since the run: its judgements are not those it was measured by")
    corpus = build_part("data", config["data"])
    languages: Languages = build_part("languages", config["languages"])
    measures = [Measure.parse(text) for text in config["evaluation"]["measures"]]
    found: Scores = {}
    for split in run.measures:
        means = {}
        for language in languages.all:
            path = run.folder / "runs" / f"{split}.{language}.trec.gz"
            if not path.exists():
                raise UserError(f"{path}: no such run file")
            scores = judge(read_run(path), corpus.collection(language, unperturbed(split)), measures)
            means[language] = scores.means()
        groups = macro_average(means, {f"group:{name}": of for name, of in languages.groups.items()})
        for slice, by_measure in {**means, **groups}.items():
            found |= {f"{split}/{measure}/{slice}": value for measure, value in by_measure.items()}
    return found


def _of_record(run: SweepRun) -> Scores:
    """As they are named in logs."""
    return {
        f"{split}/{measure}/{slice}": float(value)
        for split, measures in run.measures.items()
        for measure, slices in measures.items()
        for slice, value in slices.items()
    }


def _of_queries(run: SweepRun, derived: Mapping[str, float]) -> Scores:
    """Means over the queries of `per_query.parquet`, by language."""
    import pandas

    path = run.folder / "per_query.parquet"
    languages = {score: math.nan for score in derived if "/group:" not in score}
    try:
        table = pandas.read_parquet(path)
        means = table.groupby(["split", "measure", "language"])["value"].mean()
    except (OSError, ValueError, KeyError):
        return languages
    found: dict[Any, Any] = means.to_dict()
    return languages | {"/".join(key): float(value) for key, value in found.items()}


def _wandb(folder: Path, warn: Callable[[str], None]) -> dict[str, Scores]:
    """What W&B's offline logs below the sweep say, by run; nothing for runs that have none."""
    from optical_sweeps.tracking.sources import read_offline

    logs = read_offline(folder, warn=warn, history=False)
    return {log.id: dict(_measured(log.summary)) for log in logs if log.complete}


def _measured(summary: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in summary.items():
        split, _, rest = key.partition("/")
        if unperturbed(split) in ("dev", "test") and "/" in rest and isinstance(value, int | float):
            yield key, float(value)
