"""What of a run's history W&B has already, when a run goes on: nothing is lost, and nothing stands there twice.

A run that was killed goes on from a checkpoint, which lies behind what was logged last; the rows between are
logged again. W&B appends what it is told, so they would stand there twice. And rows that had not reached the
server when the process died (they are in the log file on disk) would be missing.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Step = int | float
"""Steps are whole, save in logs of others."""

Has = Callable[[Step, str, Any], bool]
"""(step, metric, value) -> whether W&B has it."""


class Rows:
    """The rows of a run as they should be in W&B, by step.

    Args:
        earlier: rows that are on disk from earlier starts of the run.
    """

    def __init__(self, earlier: Iterable[tuple[Step, Mapping[str, Any]]] = ()) -> None:
        self._rows: dict[Step, dict[str, Any]] = {}
        for step, metrics in earlier:
            self.add(step, metrics)

    def add(self, step: Step, metrics: Mapping[str, Any]) -> None:
        self._rows.setdefault(step, {}).update(metrics)

    def holds(self, step: Step, key: str, value: Any) -> bool:
        """Whether this value stands at this step."""
        row = self._rows.get(step, {})
        return key in row and same(row[key], value)

    def missing(self, has: Has, below: Step = math.inf) -> Iterator[tuple[Step, dict[str, Any]]]:
        """What W&B does not have of the steps below one, in their order."""
        for step in sorted(step for step in self._rows if step < below):
            if part := new_part(has, step, self._rows[step]):
                yield step, part


def new_part(has: Has, step: Step, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that W&B does not have at this step."""
    return {key: value for key, value in metrics.items() if not has(step, key, value)}


def on_server(last_step: Step, last_values: Mapping[str, Any]) -> Has:
    """What a server has: everything before the last step it knows, and of that step what its summary shows.

    History is streamed in the order it was logged, so what a server has is its beginning.
    """

    def has(step: Step, key: str, value: Any) -> bool:
        if step == last_step:
            return key in last_values and same(last_values[key], value)
        return step < last_step

    return has


def nothing(step: Step, key: str, value: Any) -> bool:
    """A new run's server."""
    return False


def same(first: Any, second: Any) -> bool:
    """Equal, or both NaN."""
    return bool(first == second or (first != first and second != second))
