"""Signs of life: a file whose modification time a working process keeps recent."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Sight:
    """What this process saw of a file: its modification time, since when, and whether that was a new beat."""

    modified: int
    since: float
    advanced: bool


_SIGHTS: dict[Path, _Sight] = {}


def silence(path: Path) -> float:
    """Seconds, by this process's own clock, since it first saw the file's present modification time.

    Raises:
        OSError: the file cannot be read; FileNotFoundError if its owner has ended.
    """
    return time.monotonic() - _look(path).since


def is_fresh(path: Path, beat: float = BEAT) -> bool:
    """Whether the last sign of life is recent.

    If this process saw the file change, only its own clock counts. Otherwise the file's time is compared with
    this host's clock and, if that makes it old, with the clock of the file system, which a network file system
    keeps for all hosts. Both may differ from the owner's clock: take nothing from an owner for this reason.
    """
    try:
        sight = _look(path)
    except OSError:
        return False
    limit = MAX_MISSED * beat
    if sight.advanced:
        return time.monotonic() - sight.since < limit
    modified = sight.modified / 1e9
    return time.time() - modified < limit or _file_system_time(path.parent) - modified < limit


def _file_system_time(folder: Path) -> float:
    """Now, by the clock that stamps the folder's files; this host's clock if the folder is read-only."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
            os.utime(file.name)
            return Path(file.name).stat().st_mtime
    except OSError:
        return time.time()


def _look(path: Path) -> _Sight:
    try:
        modified = path.stat().st_mtime_ns
    except OSError:
        _SIGHTS.pop(path, None)
        raise
    before = _SIGHTS.get(path)
    if before is None or before.modified != modified:
        _SIGHTS[path] = _Sight(modified, time.monotonic(), before is not None and modified > before.modified)
    return _SIGHTS[path]
