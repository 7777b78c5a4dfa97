"""What was read of a sweep's logs before: so that a second look reads only what is new."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path

CACHE_FORMAT = 1
"""Raised when what is kept changes its meaning; caches of other formats are built anew."""

_HEAD = b"optical-sweeps log cache %d %s\n"
"""First line of the file: format, and the hash of all that follows, which is Parquet."""

_COLUMNS = ("name", "stamp", "head", "history")


@dataclass(frozen=True)
class Kept:
    """What was read of one log.

    Args:
        stamp: what the log looked like; another stamp means that it has changed.
        head: all but the history, as JSON.
        history: the rows, as JSON; none where nobody asked for them.
    """

    stamp: str
    head: str
    history: str | None


class LogCache:
    """Logs read before, by name: one file with a checksum, replaced as a whole.

    A cache that cannot be read, is damaged or is of another format counts as empty; one that cannot be written
    is not written. Logs that are gone are forgotten when the cache is saved.

    Args:
        path: the cache's file; none keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._kept: dict[str, Kept] = _load(path) if path else {}
        self._used: set[str] = set()
        self._changed = False

    def get(self, name: str, stamp: str, history: bool) -> Kept | None:
        """What is known of a log that still looks the same."""
        self._used.add(name)
        kept = self._kept.get(name)
        if kept is None or kept.stamp != stamp or (history and kept.history is None):
            return None
        return kept

    def older(self, name: str) -> Kept | None:
        """What is known of a log that may have grown since."""
        return self._kept.get(name)

    def put(self, name: str, kept: Kept) -> None:
        self._used.add(name)
        self._kept[name] = kept
        self._changed = True

    def save(self) -> None:
        """Write what was used since the cache was opened, if it differs from the file."""
        kept = {name: self._kept[name] for name in sorted(self._used & self._kept.keys())}
        if self.path is None or not (self._changed or kept.keys() != self._kept.keys()):
            return
        try:
            _store(self.path, kept)
        except OSError:  # a sweep's folder may be read-only; the next call reads everything again
            return


def stamp_of_file(path: Path) -> str:
    """What changes when a file is written to or replaced."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _load(path: Path) -> dict[str, Kept]:
    import pyarrow
    from pyarrow import parquet

    try:
        head, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return {}
    if head + b"\n" != _head(content):
        return {}
    columns = parquet.read_table(pyarrow.BufferReader(content), columns=list(_COLUMNS)).to_pydict()
    rows = zip(*(columns[name] for name in _COLUMNS), strict=True)
    return {name: Kept(stamp, head, history) for name, stamp, head, history in rows}


def _head(content: bytes) -> bytes:
    return _HEAD % (CACHE_FORMAT, hashlib.blake2b(content, digest_size=16).hexdigest().encode())


def _store(path: Path, kept: dict[str, Kept]) -> None:
    import pyarrow
    from pyarrow import parquet

    text = pyarrow.large_string()
    columns = [
        list(kept),
        [entry.stamp for entry in kept.values()],
        [entry.head for entry in kept.values()],
        [entry.history for entry in kept.values()],
    ]
    table = pyarrow.table([pyarrow.array(column, text) for column in columns], names=list(_COLUMNS))
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd", use_dictionary=False, write_statistics=False)
    content = sink.getvalue().to_pybytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(_head(content) + content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def to_json(value: object) -> str:
    """Compact JSON in ASCII; NaN and infinity are kept, as Python reads them back."""
    return json.dumps(value, separators=(",", ":"))
