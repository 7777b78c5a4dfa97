"""Errors of the machine rather than of the run, a full disk or exhausted memory, explained in one line.

The original error stays their cause, by which `failure.cause_of` recognises them.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optical_sweeps.errors import UserError, first_line
from optical_sweeps.runs.failure import DISK_ERRORS, is_out_of_memory

_RUST = re.compile(r"\(os error (\d+)\)")


@contextmanager
def machine_faults_in_words(folder: Path) -> Iterator[None]:
    """Turn errors of the machine into a UserError that says what to do.

    Args:
        folder: named if the error names no file.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise UserError(
                f"out of memory ({first_line(error)[:200]}); lower training.batch_size, "
                "evaluation.encode_batch_size or evaluation.memory_budget_mb, or request more memory"
            ) from error
        number = _disk_error(error)
        if number is None:
            raise
        place = getattr(error, "filename", None) or folder
        raise UserError(
            f"{place}: {os.strerror(number)}; free space or grant access, then run the same command again: it "
            "resumes from the last checkpoint"
        ) from (error if isinstance(error, OSError) else OSError(number, os.strerror(number)))


def _disk_error(error: Exception) -> int | None:
    """The error number of the disk, from the error itself or, for libraries written in Rust, from its text."""
    if isinstance(error, OSError):
        return error.errno if error.errno in DISK_ERRORS else None
    match = _RUST.search(str(error))
    return int(match[1]) if match and int(match[1]) in DISK_ERRORS else None
