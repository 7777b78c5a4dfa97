"""What a tracker's log says of one run, free of the tracker it came from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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
        complete: the log ends with the tracker's own exit record, with exit code 0.
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
