"""Scores that a study should have, from a YAML file, and what a sweep has.

A file says how the study is run, what its scores are, and how near another machine has to come:

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
from typing import Any

import yaml

from optical_sweeps.errors import UserError, first_line
from optical_sweeps.report.rederived import Cell, verdict
from optical_sweeps.report.sweep_runs import SweepRun


@dataclass(frozen=True)
class Expected:
    """One run's scores.

    Args:
        where: values of dotted keys that tell the run from others; `objective` is its objective's name.
        ok, close: how far a score may be off and still be OK, or close.
        scores: by `split/measure/slice`.
    """

    where: Mapping[str, Any]
    ok: float
    close: float
    scores: Mapping[str, float]

    @property
    def label(self) -> str:
        return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.where.items())

    def is_of(self, run: SweepRun) -> bool:
        return all(_same(run.objective if key == "objective" else run.config.get(key), value)
                   for key, value in self.where.items())  # fmt: skip


def read_expected(path: Path) -> list[Expected]:
    """Read a file of expected scores.

    Raises:
        UserError: no such file, no YAML, or an entry is not as it should be; it is named.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML ({first_line(error)})") from None
    try:
        tolerances, runs = content["tolerances"], content["runs"]
        if not isinstance(runs, list) or not runs:
            raise ValueError("runs is no list, or empty")
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: tolerances and runs are needed ({error})") from None
    return [_entry(path, number, entry, tolerances) for number, entry in enumerate(runs, start=1)]


def check_expected(expected: Sequence[Expected], runs: Sequence[SweepRun]) -> list[Cell]:
    """Each expected score beside the run's record; a run that is missing, not done or not alone fails."""
    cells: list[Cell] = []
    for entry in expected:
        found = [run for run in runs if entry.is_of(run)]
        if len(found) != 1 or found[0].state != "done":
            note = f"the run is {found[0].state}" if len(found) == 1 else f"{len(found)} runs are so"
            cells.append(Cell("FAIL", entry.label, "all", "expected", None, None, note))
            continue
        for score, there in entry.scores.items():
            here = _score(found[0], score)
            cells.append(
                Cell(verdict(here, there, entry.ok, entry.close), entry.label, score, "expected", here, there)
            )
    return cells


def _entry(path: Path, number: int, entry: Any, tolerances: Any) -> Expected:
    try:
        tolerance = tolerances[entry["tolerance"]]
        scores = {str(score): _number(value) for score, value in entry["scores"].items()}
        if not scores or not entry["where"]:
            raise ValueError("no scores, or no where")
        found = Expected(dict(entry["where"]), _number(tolerance["ok"]), _number(tolerance["close"]), scores)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: entry {number} of runs: {first_line(error)}; it needs where, scores and a known tolerance"
        ) from None
    if not 0 <= found.ok <= found.close:
        raise UserError(
            f"{path}: entry {number} of runs: ok {found.ok} is not between 0 and close {found.close}"
        )
    return found


def _score(run: SweepRun, score: str) -> float | None:
    found: Any = run.measures
    for part in score.split("/", 2):
        found = found.get(part) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _same(first: Any, second: Any) -> bool:
    return bool(first == second)
