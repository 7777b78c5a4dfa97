"""The runs of a sweep as a report needs them: state, config, measures, and the keys that vary between them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optical_sweeps.curves.tables.result_tables import ZERO_SHOT
from optical_sweeps.errors import UserError
from optical_sweeps.limits import parse_yaml
from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.grid import Grid, values_of
from optical_sweeps.tracking.run_log import flattened

X_KEYS = ("mixture.ratio", "mixture.multiple", "mixture.total", "mixture.high_total")
"""Keys suitable as x axes, the best first."""

Measures = Mapping[str, Mapping[str, Mapping[str, float]]]
"""split -> measure -> slice -> value."""


@dataclass(frozen=True)
class SweepRun:
    """One run of the grid.

    Args:
        config: flat (`mixture.ratio`); for an unfinished run, the values that its grid point sets.
        measures: empty for an unfinished run.
        record: the content of `record.json`; empty for an unfinished run.
        cause, message: why the run failed.
    """

    id: str
    label: str
    state: State
    folder: Path
    config: Mapping[str, object]
    measures: Measures = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""
    message: str = ""

    @property
    def objective(self) -> str:
        """The name of the objective, which is the first word of the label."""
        return (self.label.split() or ["?"])[0]

    @property
    def seed(self) -> object:
        return self.config.get("seed")

    @property
    def trained(self) -> bool:
        return self.objective != ZERO_SHOT


def read_runs(grid: Grid) -> list[SweepRun]:
    """Every run of the grid, in the order of the grid.

    Raises:
        UserError: a record is broken.
    """
    return [_read(grid, run, state) for run, state in grid.states().items()]


def varied_keys(runs: Iterable[SweepRun]) -> list[str]:
    """Keys that differ between trained runs of the same objective, except seeds; x axes come first.

    Of keys that always vary together, only the first is returned.
    """
    trained = [run for run in runs if run.trained]
    done = [run for run in trained if run.record] or trained
    keys = dict.fromkeys((*X_KEYS, *sorted({key for run in done for key in run.config})))
    by_partition: dict[tuple[int, ...], str] = {}
    for key in keys:
        if _varies(key, done) and not _equals_seed(key, done):
            by_partition.setdefault(_partition(key, done), key)
    return list(by_partition.values())


def _read(grid: Grid, run: str, state: State) -> SweepRun:
    folder, point = grid.runs[run], grid.point_of[run]
    if state == "done":
        record = folder.record()
        try:
            config = dict(flattened(record["config"], "."))
            return SweepRun(run, str(record["label"]), state, folder.path, config, record["measures"], record)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{folder.record_path}: {error!r} is missing or invalid; delete the file to run the point again"
            ) from error
    config = {key: _value(text) for key, text in values_of(point.overrides).items()}
    failure = folder.failure() if state == "failed" else {}
    message = " ".join(str(failure.get("message", "")).split())
    cause = str(failure.get("cause", ""))
    return SweepRun(run, point.label, state, folder.path, config, cause=cause, message=message)


def _value(text: str) -> object:
    try:
        value: object = parse_yaml(text)
    except ValueError:
        return text
    return value


def _varies(key: str, runs: Sequence[SweepRun]) -> bool:
    values: dict[str, set[str]] = {}
    for run in runs:
        values.setdefault(run.objective, set()).add(_text(run.config.get(key)))
    return any(len(seen) > 1 for seen in values.values())


def _equals_seed(key: str, runs: Sequence[SweepRun]) -> bool:
    """Whether the key is the seed or a copy of it."""
    return all(_text(run.config.get(key)) == _text(run.seed) for run in runs)


def _partition(key: str, runs: Sequence[SweepRun]) -> tuple[int, ...]:
    """For each run, a number that is equal for runs with the same value."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(_text(run.config.get(key)), len(numbers)) for run in runs)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
