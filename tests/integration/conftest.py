"""Fixtures that call the command line, and a small study."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import STUDY, Command, Finished, invoke


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """The environment of the tests, without the user's Python paths and W&B settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


@pytest.fixture(scope="session")
def there(environment) -> Command:
    """Runs `optical-sweeps ...` in a folder in a new process."""

    def run(folder: Path, *arguments: str, program: str = "optical-sweeps") -> Finished:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def here(environment) -> Command:
    """Runs `optical-sweeps ...` in a folder in this process, which saves the time of imports."""

    def run(folder: Path, *arguments: str) -> Finished:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))  # torch has read the variable before
        try:
            return invoke(folder, *arguments, **environment)
        finally:
            torch.set_num_threads(threads)

    return run


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A folder with a user's own experiment, `studies/experiment/small.yaml`."""
    folder = tmp_path_factory.mktemp("study")
    file = folder / "studies" / "experiment" / "small.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(STUDY)
    return folder


@pytest.fixture(scope="session")
def pylate() -> str:
    """An interpreter with PyLate."""
    if named := os.environ.get("OPTICAL_SWEEPS_PYLATE"):
        return named
    if importlib.util.find_spec("pylate") is None:
        pytest.skip("PyLate is not installed; name an interpreter that has it in OPTICAL_SWEEPS_PYLATE")
    return sys.executable
