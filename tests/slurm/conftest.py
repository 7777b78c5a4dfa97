"""Stand-ins for Slurm's commands."""

from pathlib import Path

import pytest

from tests.support.slurm_stand_ins import show_queue, stand_in


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-ins: sbatch counts from 1, the queue is empty, scancel notes its arguments."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    stand_in(folder, "sbatch", f"echo >> {folder}/submitted; wc -l < {folder}/submitted")
    stand_in(folder, "scontrol", "echo MaxArraySize = 1001")
    stand_in(folder, "scancel", f'echo "$@" >> {folder}/cancelled')
    show_queue(folder)
    return folder
