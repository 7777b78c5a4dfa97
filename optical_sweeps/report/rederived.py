"""Scores computed again from run files and judgements, and compared with every place that stores them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from optical_sweeps.corpora.collections import PERTURBED, unperturbed
from optical_sweeps.curves.tables.per_query_files import read_per_query
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.judging import judge
from optical_sweeps.evaluation.measures import Measure, macro_average
from optical_sweeps.report.sweep_runs import SweepRun, read_runs
from optical_sweeps.retrieval.trec_runs import read_run
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.tracking.run_log import NoRuns
from optical_sweeps.tracking.sources import read_offline

Verdict = Literal["OK", "close", "FAIL"]
Scores = dict[str, float]
"""Scores by `split/measure/slice`, as in logs."""

EXACT, CLOSE = 1e-9, 1e-4
"""Largest differences that are OK (a different order of summation) and close (a rounded log)."""


@dataclass(frozen=True)
class Cell:
    """One score, derived and stored.

    Args:
        beside: where the stored score comes from.
        there: the stored score.
        note: why there is nothing to compare.
    """

    verdict: Verdict
    label: str
    score: str
    beside: str
    derived: float | None
    there: float | None
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def verdict(first: float | None, second: float | None, ok: float = EXACT, close: float = CLOSE) -> Verdict:
    """Compare two scores; a missing score or NaN fails.

    >>> verdict(0.5, 0.5), verdict(0.5, 0.50005), verdict(0.5, 0.6), verdict(0.5, None)
    ('OK', 'close', 'FAIL', 'FAIL')
    """
    gap = math.inf if first is None or second is None else abs(first - second)
    return "OK" if gap <= ok else "close" if gap <= close else "FAIL"  # comparisons with NaN are false


def check_logged(
    grid: Grid,
    *,
    warn: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Cell]:
    """Check every score of every run of the grid; an unfinished run is one FAIL.

    Raises:
        UserError: a record or a W&B log cannot be read.
    """
    runs = read_runs(grid)
    logs = _scores_in_wandb_logs(grid.folder, warn)
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
    stored = {"record": logged_scores(run), "per query": _query_means(run, derived)}
    if log is not None:
        stored["W&B log"] = log
    cells = []
    for place, scores in stored.items():
        for name in scores if place == "per query" else dict.fromkeys((*derived, *scores)):
            first, second = derived.get(name), scores.get(name)
            cells.append(Cell(verdict(first, second), run.label, name, place, first, second))
    return cells


def derive(run: SweepRun) -> Scores:
    """The scores of a finished run, computed from its run files and the judgements of its corpus.

    Raises:
        UserError: a run file is missing or broken, or the corpus is not the one that the run was evaluated on.
    """
    from optical_sweeps.runs.spec.corpus_section import corpus_content, corpus_of
    from optical_sweeps.runs.spec.languages import Languages
    from optical_sweeps.settings import from_mapping

    config, facts = run.record["config"], run.record.get("facts", {})
    if corpus_content(config["data"]) != facts.get("corpus"):
        raise UserError("the corpus has changed since the run, so its judgements differ from those of the run")
    corpus = corpus_of(config["data"])
    languages = from_mapping(Languages, config["languages"])
    measures = [Measure.parse(text) for text in config["evaluation"]["measures"]]
    derived: Scores = {}
    for split in run.measures:
        means = {}
        for language in languages.all:
            path = run.folder / "runs" / f"{split}.{language}.trec.gz"
            if not path.exists():
                raise UserError(f"{path}: no such run file")
            scores = judge(read_run(path), corpus.collection(language, unperturbed(split)), measures)
            means[language] = scores.means()
        groups = macro_average(means, {f"group:{name}": group for name, group in languages.groups.items()})
        for slice, by_measure in {**means, **groups}.items():
            derived |= {f"{split}/{measure}/{slice}": value for measure, value in by_measure.items()}
    return derived


def logged_scores(run: SweepRun) -> Scores:
    """The scores in the record of a run, with the names that logs use."""
    return {
        f"{split}/{measure}/{slice}": float(value)
        for split, measures in run.measures.items()
        for measure, slices in measures.items()
        for slice, value in slices.items()
    }


def _query_means(run: SweepRun, derived: Mapping[str, float]) -> Scores:
    """Means over the queries of `per_query.parquet` by language; NaN for derived scores without queries."""
    missing = {score: math.nan for score in derived if "/group:" not in score}
    try:
        table = read_per_query(run.folder / "per_query.parquet").to_pandas()
        means = table.groupby(["split", "measure", "language"], observed=True)["value"].mean()
    except (OSError, ValueError, KeyError, TypeError):
        return missing
    names = ["/".join(key) for key in means.index.tolist()]
    return missing | dict(zip(names, means.tolist(), strict=True))


def _scores_in_wandb_logs(folder: Path, warn: Callable[[str], None]) -> dict[str, Scores]:
    """The scores in the sweep's offline W&B logs, for each run that has one."""
    try:
        logs = read_offline(folder, warn=warn, history=False)
    except NoRuns:
        return {}
    return {log.id: _scores_in(log.summary) for log in logs if log.complete}


def _scores_in(summary: Mapping[str, object]) -> Scores:
    scores: Scores = {}
    for key, value in summary.items():
        split, _, rest = key.partition("/")
        if split.partition(PERTURBED)[0] in ("dev", "test") and "/" in rest and isinstance(value, int | float):
            scores[key] = float(value)
    return scores
