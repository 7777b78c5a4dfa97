"""The command line as the tests start it, and a small study."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

STUDY = """\
# @package _global_
defaults:
  - override /data: synthetic
  - override /languages: synthetic
  - override /backbone: tiny

data:
  lexicon_size: 120
  topics: 40
  documents_per_topic: 2
  daughters:
    near: {pairs: 80}
    shifted: {pairs: 80}
    inverted: {pairs: 80}
    fusing: {pairs: 80}
    splitting: {pairs: 80}
    distant: {pairs: 80}
languages: {high: [near, shifted], low: [fusing, distant]}
backbone: {layers: 1, hidden_size: 32, vocabulary_size: 500}
encoder: {dim: 16}
teacher: {training: {epochs: 2, learning_rate: 1e-3}}
training: {batch_size: 8, learning_rate: 1e-3, log_every: 1}
mixture: {total: 80}
logger: {mode: offline}
sweep: {name: small}
hydra:
  sweeper:
    params:
      objective: optical,contrastive,none
      mixture.ratio: 0,1
"""
TRAIN = ("train", "--config-dir", "studies", "experiment=small")
"""One run of the study."""
SWEEP = ("train", "--config-dir", "studies", "-m", "experiment=small")
"""The study's sweep: 2 ratios x {optical, contrastive}, and zero-shot."""


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., Finished]


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
