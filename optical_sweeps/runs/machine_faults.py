"""Faults of the machine, not of the run: a full disk, too little memory; said in one line.

The error they come from stays their cause, by which `failure.cause_of` knows them.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optical_sweeps.errors import UserError, first_line

_DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
)
_RUST = re.compile(r"\(os error (\d+)\)")


@contextmanager
def machine_faults_in_words(folder: Path) -> Iterator[None]:
    """Turn what the machine refuses into a UserError that says what to do.

    Args:
        folder: named where the error names no file.
    """
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory(error) from error
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
            raise _out_of_memory(error) from error
        number = _disk_error(error)
        if number is None:
            raise
        where = getattr(error, "filename", None) or folder
        raise UserError(
            f"{where}: {os.strerror(number)}; make room or give access, then run the same command again: it "
            "goes on from its last checkpoint"
        ) from (error if isinstance(error, OSError) else OSError(number, os.strerror(number)))


def _out_of_memory(error: BaseException) -> UserError:
    return UserError(
        f"out of memory ({first_line(error)[:200]}); set training.batch_size, evaluation.encode_batch_size or "
        "evaluation.memory_budget_mb lower, or ask for more"
    )


def _disk_error(error: Exception) -> int | None:
    """The number of what the disk refused, by the error itself or, for libraries in Rust, by its text."""
    if isinstance(error, OSError):
        return error.errno if error.errno in _DISK else None
    found = _RUST.search(str(error))
    return int(found[1]) if found and int(found[1]) in _DISK else None
