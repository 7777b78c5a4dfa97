"""Signs of life: a file whose time of change is kept fresh while somebody works."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT = 30.0
"""Seconds between two signs of life."""

MISSED = 4
"""So many missed ones, and nobody lives there."""


@contextmanager
def beating(path: Path, beat: float = BEAT) -> Iterator[None]:
    """Touch the file every `beat` seconds, from a thread of its own."""
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(beat):
            with suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=live, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def is_fresh(path: Path, beat: float = BEAT) -> bool:
    """Whether the last sign of life is recent; clocks of hosts may differ by some seconds."""
    try:
        return time.time() - path.stat().st_mtime < MISSED * beat
    except OSError:
        return False
