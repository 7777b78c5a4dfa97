"""The command line as the tests start it, and a small study."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests.support.command_line import STUDY, Command, Finished


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """The tests' own environment, without the paths and W&B settings of whoever runs them."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
    return {**passed, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


@pytest.fixture(scope="session")
def there(environment) -> Command:
    """Runs `optical-sweeps ...` in a folder, in a process of its own."""

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
    """Runs `optical-sweeps ...` in a folder, in this process: without the seconds that imports take."""

    def run(folder: Path, *arguments: str) -> Finished:
        import torch

        from optical_sweeps.cli import main

        threads = torch.get_num_threads()
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))  # which torch has read long ago
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            contextlib.chdir(folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "argv", ["optical-sweeps", *arguments]),
            mock.patch.dict(os.environ, environment),
        ):
            try:
                main()
            except SystemExit as leave:  # as the interpreter treats it
                code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
                if isinstance(leave.code, str):
                    err.write(f"{leave.code}\n")
            finally:
                torch.set_num_threads(threads)
        return Finished(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """An empty folder but for a user's own experiment, `studies/experiment/small.yaml`."""
    folder = tmp_path_factory.mktemp("study")
    file = folder / "studies" / "experiment" / "small.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(STUDY)
    return folder
