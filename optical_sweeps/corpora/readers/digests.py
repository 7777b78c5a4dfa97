"""Digests of file contents, cached for the life of the process."""

import hashlib
from functools import lru_cache
from pathlib import Path


def file_digest(file: Path) -> bytes:
    """A digest of a file's content; a file is read once per process, and again if it changes.

    Raises:
        OSError: it cannot be read.
    """
    status = file.stat()
    return _digest(file.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(file: Path, size: int, time: int) -> bytes:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).digest()
