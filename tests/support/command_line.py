"""A small study, and calls of commands."""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from optical_sweeps.commands.arguments import parse
from optical_sweeps.commands.registry import COMMANDS

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


def call(name: str, *words: str) -> None:
    """Run a command without a config in this process, as the command line does."""
    module = importlib.import_module(f"optical_sweeps.commands.{COMMANDS[name].module}")
    module.run(**parse(name, words))


def printed(name: str, *words: str) -> str:
    """What such a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        call(name, *words)
    return out.getvalue()


def invoke(folder: Path, *words: str, **environment: str) -> Finished:
    """Run `optical-sweeps ...` in a folder in this process.

    Args:
        environment: added to the variables of this process.
    """
    from optical_sweeps.cli import main

    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["optical-sweeps", *words]),
        mock.patch.dict(os.environ, environment),
    ):
        try:
            main()
        except SystemExit as leave:  # like the interpreter
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
            if isinstance(leave.code, str):
                err.write(f"{leave.code}\n")
    return Finished(code, out.getvalue(), err.getvalue())


def with_closed_output(folder: Path, *words: str, both: bool = False) -> tuple[int, str]:
    """Run `optical-sweeps ...` in a new process whose standard output has no reader.

    Args:
        both: standard error has no reader either.

    Returns:
        The exit code and standard error.
    """
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "optical_sweeps", *words],
            cwd=folder, stdout=writer, stderr=writer if both else subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ""
