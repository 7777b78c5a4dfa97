"""The runs of a sweep as a report needs them: state, config, measures, and what was varied between them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from optical_sweeps.curves.tables.result_tables import ZERO_SHOT
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.grid import Grid, values_of

X_KEYS = ("mixture.ratio", "mixture.multiple", "mixture.total", "mixture.high_total")
"""Keys that make good abscissae, the best first."""


@dataclass(frozen=True)
class SweepRun:
    """One run of the grid.

    Args:
        config: flat (`mixture.ratio`); of a run that is not done, what its grid point sets.
        measures: split -> measure -> slice -> value; empty where the run is not done.
        record: all that it wrote about itself; empty where it is not done.
        cause, message: why it failed.
    """

    id: str
    label: str
    state: State
    folder: Path
    objective: str
    seed: Any
    config: Mapping[str, Any]
    measures: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""
    message: str = ""

    @property
    def trained(self) -> bool:
        return self.objective != ZERO_SHOT


def read_runs(grid: Grid) -> list[SweepRun]:
    """Every run that the grid asks for, in its order.

    Raises:
        UserError: a record is broken.
    """
    return [_read(grid, run, state) for run, state in grid.states().items()]


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values that are no sections.

    >>> flat({"mixture": {"ratio": 0.5}, "seed": 1})
    {'mixture.ratio': 0.5, 'seed': 1}
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def varied_keys(runs: Iterable[SweepRun]) -> list[str]:
    """Keys that differ between trained runs of one objective, seeds aside; of keys that vary alike, the first.

    Abscissae come first. What differs only because the objective does is told by the objective.
    """
    trained = [run for run in runs if run.trained]
    done = [run for run in trained if run.record] or trained
    keys = dict.fromkeys((*X_KEYS, *sorted({key for run in done for key in run.config})))
    kept: dict[tuple[int, ...], str] = {}
    for key in keys:
        if _varies(key, done) and not _is_seed(key, done):
            kept.setdefault(_partition(key, done), key)
    return list(kept.values())


def _objective(label: str) -> str:
    """A run's label begins with its objective's name."""
    return label.split()[0] if label.split() else "?"


def _read(grid: Grid, run: str, state: State) -> SweepRun:
    folder, point = grid.runs[run], grid.point_of[run]
    if state == "done":
        record = folder.record()
        try:
            config, label = record["config"], str(record["label"])
            return SweepRun(
                run, label, state, folder.path, _objective(label), config.get("seed"), flat(config),
                record["measures"], record,
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{folder.record_path}: {error!r} is missing or odd; delete the file to run the point again"
            ) from error
    config = {key: _value(text) for key, text in values_of(point.overrides).items()}
    why = folder.failure() if state == "failed" else {}
    return SweepRun(
        run, point.label, state, folder.path, _objective(point.label), config.get("seed"), config,
        cause=str(why.get("cause", "")), message=" ".join(str(why.get("message", "")).split()),
    )  # fmt: skip


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _varies(key: str, runs: Sequence[SweepRun]) -> bool:
    seen: dict[str, set[str]] = {}
    for run in runs:
        seen.setdefault(run.objective, set()).add(_text(run.config.get(key)))
    return any(len(values) > 1 for values in seen.values())


def _is_seed(key: str, runs: Sequence[SweepRun]) -> bool:
    """The seed, or a copy of it."""
    return all(_text(run.config.get(key)) == _text(run.seed) for run in runs)


def _partition(key: str, runs: Sequence[SweepRun]) -> tuple[int, ...]:
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(_text(run.config.get(key)), len(numbers)) for run in runs)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
