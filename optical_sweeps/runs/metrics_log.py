"""`metrics.jsonl`: a run's metrics by optimiser step, one line a logged step, without a hole or a double."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RECENT_SECONDS = 60.0
"""A tracker may not have on disk what it was told so shortly before its process was killed."""


class MetricsLog:
    """Appends rows; a resumed run cuts the log back to its checkpoint and goes on.

    Args:
        path: of the file, made at the first row.
        clock: seconds, rising.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()  # (when, where) of the newest rows

    def append(self, step: int, metrics: Mapping[str, float]) -> None:
        """One line: `{"step": 12, "train/loss": 0.5}`."""
        with self.path.open("ab") as file:
            self._recent.append((self._clock(), file.tell()))
            file.write(json.dumps({"step": step, **metrics}).encode() + b"\n")
        self._forget()

    def state(self) -> dict[str, int]:
        """Where the log stands, in bytes, and where its recent rows begin; they are on disk then."""
        self._forget()
        if not self.path.exists():
            return {"end": 0, "recent": 0}
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
            end = file.seek(0, os.SEEK_END)
        return {"end": end, "recent": self._recent[0][1] if self._recent else end}

    def reaches(self, state: Mapping[str, int]) -> bool:
        """Whether all rows up to a state are there; a machine that lost power may have lost some."""
        return (self.path.stat().st_size if self.path.exists() else 0) >= state["end"]

    def restore(self, state: Mapping[str, int] | None) -> list[tuple[int, dict[str, Any]]]:
        """Cut the log back to a state, or to nothing; returns its recent rows: (step, metrics)."""
        end, recent = (state["end"], state["recent"]) if state else (0, 0)
        if self.path.exists():
            os.truncate(self.path, end)
        self._recent = deque([(self._clock(), recent)] if recent < end else [])
        return self._rows(recent)

    def _rows(self, start: int) -> list[tuple[int, dict[str, Any]]]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(start)
            rows = [json.loads(line) for line in file]
        return [(row.pop("step"), row) for row in rows]

    def _forget(self) -> None:
        while self._recent and self._recent[0][0] < self._clock() - RECENT_SECONDS:
            self._recent.popleft()
