"""Expected scores of a study from a YAML file, compared with the scores of a sweep.

A file contains the command of the study, its scores, and the tolerances for other machines:

    command: optical-sweeps train -m experiment=demo ...
    tolerances: {untrained: {ok: .002, close: .01}, trained: {ok: .01, close: .02}}
    runs:
      - where: {objective: contrastive, mixture.ratio: 0.5, seed: 1}
        tolerance: trained
        scores: {test/nDCG@10/group:low: 0.347}
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.errors import UserError, first_line
from optical_sweeps.limits import parse_yaml
from optical_sweeps.report.rederived import Cell, logged_scores, verdict
from optical_sweeps.report.sweep_runs import SweepRun


@dataclass(frozen=True)
class ExpectedRun:
    """The expected scores of one run.

    Args:
        where: values of dotted keys that identify the run; `objective` is the name of its objective.
        ok, close: largest difference of a score that is still OK, or close.
        scores: expected values by `split/measure/slice`.
    """

    where: Mapping[str, object]
    ok: float
    close: float
    scores: Mapping[str, float]

    @property
    def label(self) -> str:
        return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.where.items())

    def matches(self, run: SweepRun) -> bool:
        values = {**run.config, "objective": run.objective}
        return all(values.get(key) == value for key, value in self.where.items())


def read_expected(path: Path) -> list[ExpectedRun]:
    """Read a file of expected scores.

    Raises:
        UserError: no such file, not YAML, or an invalid entry, which the message names.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: not YAML ({first_line(error)})") from None
    try:
        tolerances, runs = content["tolerances"], content["runs"]
        if not isinstance(runs, list) or not runs:
            raise ValueError("runs is not a list, or is empty")
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: tolerances and runs are required ({error})") from None
    return [_entry(f"{path}: entry {n} of runs", entry, tolerances) for n, entry in enumerate(runs, start=1)]


def check_expected(expected: Sequence[ExpectedRun], runs: Sequence[SweepRun]) -> list[Cell]:
    """Compare the expected scores with the records; an entry fails unless it matches exactly one finished
    run."""
    cells: list[Cell] = []
    for entry in expected:
        matches = [run for run in runs if entry.matches(run)]
        if len(matches) != 1 or matches[0].state != "done":
            note = f"the run is {matches[0].state}" if len(matches) == 1 else f"{len(matches)} runs match"
            cells.append(Cell("FAIL", entry.label, "all", "expected", None, None, note))
            continue
        scores = logged_scores(matches[0])
        for name, value in entry.scores.items():
            result = verdict(scores.get(name), value, entry.ok, entry.close)
            cells.append(Cell(result, entry.label, name, "expected", scores.get(name), value))
    return cells


def _entry(place: str, entry: object, tolerances: Mapping[str, Mapping[str, object]]) -> ExpectedRun:
    try:
        if not isinstance(entry, Mapping) or not entry["scores"] or not entry["where"]:
            raise ValueError("no scores, or no where")
        tolerance = tolerances[entry["tolerance"]]
        scores = {str(name): _number(value) for name, value in entry["scores"].items()}
        expected = ExpectedRun(
            dict(entry["where"]), _number(tolerance["ok"]), _number(tolerance["close"]), scores
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(
            f"{place}: {first_line(error)}; an entry needs where, scores and a known tolerance"
        ) from None
    if not 0 <= expected.ok <= expected.close:
        raise UserError(f"{place}: ok {expected.ok} is not between 0 and close {expected.close}")
    return expected


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)
