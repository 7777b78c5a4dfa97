"""Signs of life: a file whose modification time a working process keeps recent."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT = 30.0
"""Seconds between two signs of life."""

MAX_MISSED = 4
"""A process that missed this many signs of life is dead."""


@contextmanager
def beating(path: Path, beat: float = BEAT) -> Iterator[None]:
    """Touch the file every `beat` seconds, in a thread."""
    ended = threading.Event()

    def touch_regularly() -> None:
        while not ended.wait(beat):
            with suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=touch_regularly, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def is_fresh(path: Path, beat: float = BEAT) -> bool:
    """Whether the last sign of life is recent; the clocks of two hosts may differ by some seconds."""
    try:
        return time.time() - path.stat().st_mtime < MAX_MISSED * beat
    except OSError:
        return False
