"""The cause of a failed run, as `FAILED.json` stores it."""

import errno
import re
import socket
import time
import traceback
from typing import Literal, get_args

from optical_sweeps.errors import UserError
from optical_sweeps.redaction import redacted

Cause = Literal["config", "nan", "memory", "disk", "error"]
CAUSES: tuple[str, ...] = get_args(Cause)
"""What must be fixed before a retry helps: config, learning rate, memory, disk, or code."""

DISK_ERRORS = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR,
)  # fmt: skip
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)
_NOT_FINITE = re.compile(r"\bthe loss is -?(nan|inf)", re.IGNORECASE)


def failure(error: BaseException) -> dict[str, str]:
    """The error for people and programs: its cause, type, message and traceback; host and time."""
    return {
        "cause": cause_of(error),
        "error": type(error).__name__,
        "message": redacted(str(error)),
        "traceback": redacted("".join(traceback.format_exception(error))),
        "host": socket.gethostname(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def cause_of(error: BaseException) -> Cause:
    """The cause of an exception, or of the exceptions that led to it.

    >>> cause_of(OSError(28, "No space left on device")), cause_of(MemoryError()), cause_of(KeyError("x"))
    ('disk', 'memory', 'error')
    """
    chain = _chain(error)
    for link in chain:
        if is_out_of_memory(link):
            return "memory"
        if isinstance(link, OSError) and link.errno in DISK_ERRORS:
            return "disk"
    # by name, since the class belongs to the training, which a sweep does not import
    if any(type(link).__name__ == "NotFinite" or _NOT_FINITE.search(str(link)) for link in chain):
        return "nan"
    return "config" if isinstance(error, UserError) else "error"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory is exhausted; torch's CPU allocator raises a RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain
