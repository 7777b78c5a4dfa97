"""`metrics.jsonl`: the metrics of a run, one line per logged optimiser step, without gaps or duplicates."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from optical_sweeps.errors import UserError, first_line
from optical_sweeps.limits import parse_json

RECENT_SECONDS = 60.0
"""A tracker may have lost rows that it received less than this long before its process was killed."""


class MetricsLog:
    """Appends rows; a resumed run truncates the log to the state of its checkpoint.

    Args:
        path: the file, created with the first row.
        clock: returns increasing seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()  # (time, offset) of the newest rows

    def append(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one line, such as `{"step": 12, "train/loss": 0.5}`."""
        with self.path.open("ab") as file:
            self._recent.append((self._clock(), file.tell()))
            file.write(json.dumps({"step": step, **metrics}).encode() + b"\n")
        self._forget()

    def state(self) -> dict[str, int]:
        """The log's length in bytes and the offset of its recent rows, after all of it was synced to disk."""
        self._forget()
        if not self.path.exists():
            return {"end": 0, "recent": 0}
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
            end = file.seek(0, os.SEEK_END)
        return {"end": end, "recent": self._recent[0][1] if self._recent else end}

    def reaches(self, state: Mapping[str, int]) -> bool:
        """Whether all rows up to a state exist; a machine that lost power may have lost some."""
        return (self.path.stat().st_size if self.path.exists() else 0) >= state["end"]

    def restore(self, state: Mapping[str, int] | None) -> list[tuple[int, dict[str, float]]]:
        """Truncate the log to a state, or empty it; returns its recent rows as (step, metrics)."""
        end, recent = (state["end"], state["recent"]) if state else (0, 0)
        if self.path.exists():
            os.truncate(self.path, end)
        self._recent = deque([(self._clock(), recent)] if recent < end else [])
        return self._rows(recent)

    def last_value(self, ending: str) -> float | None:
        """The newest value of a metric whose name ends so; None if it was never logged."""
        rows = (row for _, row in reversed(self._rows(0)))
        return next((value for row in rows for name, value in row.items() if name.endswith(ending)), None)

    def _rows(self, start: int) -> list[tuple[int, dict[str, float]]]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(start)
            try:
                return [_row(parse_json(line)) for line in file]
            except (ValueError, OverflowError) as error:
                raise UserError(
                    f"{self.path}: a line is not a row of metrics ({first_line(error)}); delete the run's "
                    "folder, and run it again"
                ) from None

    def _forget(self) -> None:
        while self._recent and self._recent[0][0] < self._clock() - RECENT_SECONDS:
            self._recent.popleft()


def _row(values: object) -> tuple[int, dict[str, float]]:
    """The step of a row, and its metrics; raises ValueError that names the part that is not a number."""
    if not isinstance(values, dict) or type(values.get("step")) is not int:
        raise ValueError("no step that is a whole number")
    metrics = {str(name): value for name, value in values.items() if name != "step"}
    wrong = [name for name, value in metrics.items() if type(value) not in (int, float)]
    if wrong:
        raise ValueError(f"{wrong[0]}: {metrics[wrong[0]]!r} is not a number")
    return values["step"], {name: float(value) for name, value in metrics.items()}
