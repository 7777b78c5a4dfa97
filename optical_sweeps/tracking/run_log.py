"""What a tracker's log says of one run, free of the tracker it came from.

The same run says the same here, whatever it was read from: trackers rewrite numbers (1.0 as 1) and know no NaN,
so configs and final values are brought into one form.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STEP = "step"
"""Key of every history row: optimiser steps, the axis of all metrics."""

CODE_VERSION = "code_version"
"""Key of the W&B config that holds the code version, beside the run's own config."""


@dataclass(frozen=True)
class LogDamage:
    """What could not be read of a log.

    Args:
        truncated: the log stops in the middle of a record, as that of a killed or a running process does.
        places: how often reading had to start again behind a broken part.
        lost_bytes: bytes of the broken parts.
        lost_records: records known to be missing between two whole ones.
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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RunLog:
    """One run as its tracker recorded it.

    Args:
        id: the tracker's run id; equals the run identity.
        config: the resolved config that the run was started with (nested).
        summary: final values by metric name, for example `test/nDCG@10/ar`.
        history: rows of metrics in order of `step`; a step appears once.
        files: run files the tracker holds, by name, for example `per_query.parquet`.
        group: name of the sweep.
        complete: the run ended well, and nothing of its log is known to be lost.
        code_version: commit and state of the code that ran, where it was recorded.
        damage: what of the log could not be read.
    """

    id: str
    config: dict[str, Any]
    summary: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    group: str = ""
    tags: tuple[str, ...] = ()
    complete: bool = False
    code_version: dict[str, Any] = field(default_factory=dict)
    damage: LogDamage = LogDamage()


def same_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as every source gives it: whole numbers as integers, keys in the alphabet's order.

    (The service gives the keys of a section in another order at each call.)

    >>> same_config({"mixture": {"total": 3200, "ratio": 1.0}, "flags": [True, 0.5]})
    {'flags': [True, 0.5], 'mixture': {'ratio': 1, 'total': 3200}}
    """
    return {str(key): _same(config[key]) for key in sorted(config, key=str)}


def same_summary(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Final values as every source gives them: numbers as floats, what is no number (NaN, null) left out.

    >>> same_summary({"test/nDCG@10/ar": 1, "dev/nDCG@10/ar": float("nan"), "best": True, "gone": None})
    {'test/nDCG@10/ar': 1.0, 'best': True}
    """
    found = {
        key: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for key, value in summary.items()
    }
    return {
        key: value
        for key, value in found.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }


def is_step(value: Any) -> bool:
    """Whether a row can be placed by this value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def in_order_of_steps(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a step, in which later values replace earlier ones.

    >>> in_order_of_steps([{"step": 2, "a": 1}, {"step": 1}, {"step": 2, "b": 3}])
    [{'step': 1}, {'step': 2, 'a': 1, 'b': 3}]
    """
    found: dict[float, dict[str, Any]] = {}
    ordered, last = True, -math.inf
    for row in rows:
        at = row[STEP]
        ordered, last = ordered and at >= last, at
        found[at] = {**found[at], **row} if at in found else dict(row)
    return list(found.values()) if ordered else [found[at] for at in sorted(found)]


def _same(value: Any) -> Any:
    if isinstance(value, Mapping):
        return same_config(value)
    if isinstance(value, list | tuple):
        return [_same(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
