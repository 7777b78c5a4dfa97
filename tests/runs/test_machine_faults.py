"""Errors of the machine: one line that says what to do, and the cause by which `sweep retry` selects runs."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import save_file

from optical_sweeps.errors import UserError
from optical_sweeps.runs.failure import cause_of
from optical_sweeps.runs.machine_faults import machine_faults_in_words


def raised(folder, action) -> UserError:
    with pytest.raises(UserError) as error, machine_faults_in_words(folder):
        action()
    assert "\n" not in str(error.value)
    return error.value


@contextmanager
def little_room() -> Iterator[None]:
    """No file may grow beyond 1 kB: like on a full disk, writing fails halfway."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:  # before pytest writes its own output, which may be a file
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk(tmp_path):
    with little_room():
        error = raised(tmp_path, lambda: (tmp_path / "record.json").write_text("x" * 2000))
    assert str(error).startswith(f"{tmp_path}: File too large; free space")
    assert cause_of(error) == "disk"


def test_a_full_disk_in_a_library_written_in_rust(tmp_path):
    file = tmp_path / "student.safetensors"
    with little_room():
        error = raised(tmp_path, lambda: save_file({"a": torch.zeros(2000)}, file))
    assert "File too large; free space" in str(error)
    assert cause_of(error) == "disk"


def test_no_access_names_the_file(tmp_path):
    def refused() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "record.json"))

    error = raised(tmp_path, refused)
    assert str(error).startswith(f"{tmp_path / 'record.json'}: Permission denied")
    assert cause_of(error) == "disk"


def test_too_little_memory(tmp_path):
    error = raised(tmp_path, lambda: torch.empty(1 << 50))
    assert "training.batch_size" in str(error)
    assert cause_of(error) == "memory"
    assert cause_of(raised(tmp_path, lambda: bytearray(1 << 60))) == "memory"


def test_other_errors_pass(tmp_path):
    with pytest.raises(FileNotFoundError), machine_faults_in_words(tmp_path):
        (tmp_path / "no file").read_text()
    with pytest.raises(KeyError), machine_faults_in_words(tmp_path):
        {}["key"]
