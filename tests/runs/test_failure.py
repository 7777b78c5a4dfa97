"""Causes of failures, of exceptions as the libraries raise them."""

import errno
from pathlib import Path

import pytest
import torch

from optical_sweeps.errors import UserError
from optical_sweeps.runs.failure import CAUSES, cause_of, failure
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.training.distillation_module import NotFinite


def raised(act):
    try:
        act()
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


def wrapped(inner: Exception, outer: Exception):
    def act():
        try:
            raise inner
        except Exception as error:
            raise outer from error

    return raised(act)


def test_more_memory_than_there_is():
    assert cause_of(raised(lambda: torch.empty(2**60))) == "memory"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (UserError("mixture.ratio: 2 is too much"), "config"),
        (UserError("training: the loss is nan at step 3"), "nan"),
        (UserError("training: the loss is inf at step 3"), "nan"),
        (NotFinite("training: a gradient overflows"), "nan"),
        (MemoryError(), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (PermissionError(errno.EACCES, "no"), "disk"),
        (FileNotFoundError(errno.ENOENT, "gone"), "error"),
        (ValueError("shapes"), "error"),
        (wrapped(OSError(errno.ENOSPC, "full"), RuntimeError("writing failed")), "disk"),
        (wrapped(ValueError("no number"), UserError("seed: no number")), "config"),
    ],
)
def test_causes(error, cause):
    assert cause_of(error) == cause
    assert cause in CAUSES


def test_an_error_raised_while_another_is_handled_has_its_cause():
    error = KeyError("later")
    error.__context__ = MemoryError()
    assert cause_of(error) == "memory"
    error.__suppress_context__ = True  # as `from None` does
    assert cause_of(error) == "error"


def test_a_failure_tells_all(tmp_path: Path):
    told = failure(raised(lambda: 1 / 0))
    assert (told["error"], told["cause"], told["message"]) == ("ZeroDivisionError", "error", "division by zero")
    assert "1 / 0" in told["traceback"]
    assert {"host", "time"} <= set(told)


def test_a_full_disk_fails_the_run_with_its_own_error(tmp_path, monkeypatch):
    """FAILED.json cannot be written then: the error passes on all the same, and the lock is let go."""
    folder = RunFolder(tmp_path / "run")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def work():
        with folder.claim():
            monkeypatch.setattr("optical_sweeps.runs.run_folder.write_json", full)
            raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        work()
    assert folder.state() == "stale"
