"""How the server misbehaves, and to whom."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Fault:
    """What happens to requests of a kind.

    Args:
        kind: pattern of the requests' names: `graphql:UpsertBucket`, `file_stream`, `upload`, `download`; `*`.
        delay: seconds before anything else happens.
        status: answered in place of the real one; the request changes nothing.
        headers: sent with `status`.
        body: sent with `status`.
        disconnect: cut the connection: `before` the request is obeyed, or `after` (the answer is lost).
        times: how many requests are hit; none is all of them.
    """

    kind: str = "*"
    delay: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"errors": [{"message": "injected"}]}'
    disconnect: str = ""
    times: int | None = None


class Faults:
    """The faults in force, used up as requests meet them; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, list[int | None]]] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._left.append((fault, [fault.times]))

    def clear(self) -> None:
        with self._lock:
            self._left.clear()

    def meet(self, name: str) -> Fault | None:
        """The first fault that is meant for this request."""
        with self._lock:
            for fault, left in self._left:
                if left[0] != 0 and fnmatchcase(name, fault.kind):
                    if left[0] is not None:
                        left[0] -= 1
                    return fault
        return None

    def left(self) -> int:
        """How often faults that end are still to happen."""
        with self._lock:
            return sum(left[0] or 0 for _, left in self._left)
