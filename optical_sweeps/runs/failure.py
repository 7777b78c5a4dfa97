"""Why a run failed, as `FAILED.json` keeps it."""

import errno
import re
import socket
import time
import traceback
from typing import Any, Literal, get_args

from optical_sweeps.errors import UserError

Cause = Literal["config", "nan", "memory", "disk", "error"]
CAUSES: tuple[str, ...] = get_args(Cause)
"""What is to be mended before a retry helps: the config, the learning rate, the machine, the disk, the code."""

_DISK = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR,
)  # fmt: skip
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)
_NOT_FINITE = re.compile(r"\bthe loss is -?(nan|inf)", re.IGNORECASE)


def failure(error: BaseException) -> dict[str, Any]:
    """The error for people and programs: its cause, kind, message and traceback; host and time."""
    return {
        "cause": cause_of(error),
        "error": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        "host": socket.gethostname(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def cause_of(error: BaseException) -> Cause:
    """The kind of trouble that an exception, or what led to it, tells of.

    >>> cause_of(OSError(28, "No space left on device")), cause_of(MemoryError()), cause_of(KeyError("x"))
    ('disk', 'memory', 'error')
    """
    chain = _chain(error)  # by name where a class is torch's or training's: nothing heavy is imported here
    for link in chain:
        # torch's CPU allocator raises a RuntimeError
        if isinstance(link, MemoryError) or type(link).__name__ == "OutOfMemoryError":
            return "memory"
        if isinstance(link, RuntimeError) and _NO_MEMORY.search(str(link)):
            return "memory"
        if isinstance(link, OSError) and link.errno in _DISK:
            return "disk"
        if isinstance(link, OSError) and link.errno == errno.ENOMEM:
            return "memory"
    if any(type(link).__name__ == "NotFinite" or _NOT_FINITE.search(str(link)) for link in chain):
        return "nan"
    return "config" if isinstance(error, UserError) else "error"


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain
