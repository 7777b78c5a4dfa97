"""Files that appear whole or not at all, written so that no link in a shared folder is followed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """An empty temporary file beside `path`, which replaces it if the block succeeds, and is removed otherwise.

    The name is random, and a file or link that has it already is an error: others may be able to write into the
    folder. A link at `path` is replaced, not followed.

    Args:
        mode: permissions of the file, less those that the process's umask takes away.

    Raises:
        OSError: the file cannot be created or replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Write a file, or the names in a folder, through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
