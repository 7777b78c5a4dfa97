"""Which rows W&B does not have yet when a run resumes, so that no row is lost or logged twice.

A killed run resumes from a checkpoint, which is older than the last logged row, so the rows in between are
logged again. W&B appends what it receives and would store them twice. Rows that had not reached the server when
the process died, and are only in the log file on disk, would be missing.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

Step = int | float
"""Our steps are integers; logs from other programs can contain floats."""

HasValue = Callable[[Step, str, object], bool]
"""(step, metric, value) -> whether W&B has this value."""


class StepRows:
    """The rows of a run by step, as they should be in W&B.

    Args:
        earlier: rows that earlier starts of the run left on disk.
    """

    def __init__(self, earlier: Iterable[tuple[Step, Mapping[str, object]]] = ()) -> None:
        self._rows: dict[Step, dict[str, object]] = {}
        for step, metrics in earlier:
            self.add(step, metrics)

    def add(self, step: Step, metrics: Mapping[str, object]) -> None:
        self._rows.setdefault(step, {}).update(metrics)

    def has(self, step: Step, key: str, value: object) -> bool:
        """Whether the row of this step has this value."""
        row = self._rows.get(step, {})
        return key in row and _equal(row[key], value)

    def unsent(self, has: HasValue, below: Step = math.inf) -> Iterator[tuple[Step, dict[str, object]]]:
        """The steps below a limit, in order, with the metrics that W&B does not have."""
        for step in sorted(step for step in self._rows if step < below):
            if metrics := unsent_metrics(has, step, self._rows[step]):
                yield step, metrics


def unsent_metrics(has: HasValue, step: Step, metrics: Mapping[str, object]) -> dict[str, object]:
    """The metrics of this step that W&B does not have."""
    return {key: value for key, value in metrics.items() if not has(step, key, value)}


def server_has(last_step: Step, last_values: Mapping[str, object]) -> HasValue:
    """The values that a server has: all steps before its last one, and of the last step the values of its
    summary.

    The history is streamed in the order of logging, so the server has the beginning of it.
    """

    def has(step: Step, key: str, value: object) -> bool:
        if step == last_step:
            return key in last_values and _equal(last_values[key], value)
        return step < last_step

    return has


def has_nothing(step: Step, key: str, value: object) -> bool:
    """The values that W&B has of a new run: none."""
    return False


def _equal(first: object, second: object) -> bool:
    """Whether two values are equal or both NaN."""
    return bool(first == second or (first != first and second != second))
