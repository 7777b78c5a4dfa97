"""What W&B, or a run's own record, says about one run, in the same form for every source.

Sources write the same value differently: W&B's service turns 1.0 into 1, and JSON has no NaN. Configs and final
values are therefore normalised.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from optical_sweeps.errors import UserError

STEP = "step"
"""Key of every history row: the optimiser step, which is the axis of all metrics."""

CODE_VERSION = "code_version"
"""Key of the W&B config that holds the code version, next to the run's own config."""

Row = dict[str, object]
"""One row of a history: the step, and metrics by name."""


class NoRuns(UserError):
    """A folder without any log or record of a run."""


@dataclass(frozen=True)
class LogDamage:
    """The parts of a log that could not be read.

    Args:
        truncated: the log ends inside a record, as the log of a killed or running process does.
        places: number of times that reading skipped a damaged part and continued after it.
        lost_bytes: size of the damaged parts.
        lost_records: number of records known to be missing between two intact ones.
    """

    truncated: bool = False
    places: int = 0
    lost_bytes: int = 0
    lost_records: int = 0

    def __add__(self, other: "LogDamage") -> "LogDamage":
        return LogDamage(
            self.truncated or other.truncated,
            self.places + other.places,
            self.lost_bytes + other.lost_bytes,
            self.lost_records + other.lost_records,
        )


@dataclass(frozen=True)
class RunLog:
    """The log of one run.

    Args:
        id: W&B's run id, which equals the run's identity.
        config: the resolved, nested config that the run started with.
        summary: final values by metric name, for example `test/nDCG@10/ar`.
        history: rows of metrics, one per step, in order of `step`.
        files: files of the run by name, for example `per_query.parquet`.
        group: name of the sweep.
        tags: W&B's tags of the run.
        complete: the run finished successfully and no damage is known in its log.
        code_version: commit and state of the code that ran, if it was recorded.
        damage: parts of the log that could not be read.
    """

    id: str
    config: dict[str, object]
    summary: dict[str, object]
    history: list[Row] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    group: str = ""
    tags: tuple[str, ...] = ()
    complete: bool = False
    code_version: dict[str, object] = field(default_factory=dict)
    damage: LogDamage = LogDamage()


def split_config(logged: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """The run's own config, normalised, and the code version from a config that W&B stored."""
    code_version = logged.get(CODE_VERSION)
    config = {key: value for key, value in logged.items() if key not in (CODE_VERSION, "_wandb")}
    return normalised_config(config), dict(code_version) if isinstance(code_version, Mapping) else {}


def normalised_config(config: Mapping[str, object]) -> dict[str, object]:
    """A config with whole numbers as integers and keys in alphabetical order.

    W&B's service returns the keys of a section in a different order on each call.

    >>> normalised_config({"mixture": {"total": 3200, "ratio": 1.0}, "flags": [True, 0.5]})
    {'flags': [True, 0.5], 'mixture': {'ratio': 1, 'total': 3200}}
    """
    return {str(key): _normalised(config[key]) for key in sorted(config, key=str)}


def normalised_summary(summary: Mapping[str, object]) -> dict[str, object]:
    """Final values with all numbers as floats, without NaN, null and the step.

    >>> normalised_summary({"test/nDCG@10/ar": 1, "dev/nDCG@10/ar": float("nan"), "best": True, "gone": None})
    {'test/nDCG@10/ar': 1.0, 'best': True}
    """
    values = {
        key: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for key, value in summary.items()
    }
    return {
        key: value
        for key, value in values.items()
        if key != STEP and value is not None and not (isinstance(value, float) and math.isnan(value))
    }


def flattened(tree: Mapping[str, object], separator: str, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Keys joined along the path, and their values; an empty section is a value.

    >>> dict(flattened({"mixture": {"ratio": 0.5}, "seed": 1}, "."))
    {'mixture.ratio': 0.5, 'seed': 1}
    """
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, separator, f"{prefix}{key}{separator}")
        else:
            yield f"{prefix}{key}", value


def step_of(row: Mapping[str, object]) -> int | float | None:
    """The step of a row; None if it has no finite number as its step."""
    step = row.get(STEP)
    if isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step):
        return None
    return step


def merged_rows(rows: Iterable[Row]) -> list[Row]:
    """One row per step in order of steps; later values of the same step replace earlier ones.

    Rows without a step are dropped.

    >>> merged_rows([{"step": 2, "a": 1}, {"step": 1}, {"step": 2, "b": 3}])
    [{'step': 1}, {'step': 2, 'a': 1, 'b': 3}]
    """
    by_step: dict[float, Row] = {}
    for row in rows:
        step = step_of(row)
        if step is not None:
            by_step.setdefault(step, {}).update(row)
    return [by_step[step] for step in sorted(by_step)]


def _normalised(value: object) -> object:
    if isinstance(value, Mapping):
        return normalised_config(value)
    if isinstance(value, list | tuple):
        return [_normalised(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
