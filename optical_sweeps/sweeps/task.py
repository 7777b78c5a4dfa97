"""Hydra's task: perform the run that a config describes, alone or as one job of a multirun."""

import contextlib
from collections.abc import Mapping
from math import nan

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError, first_line, leave_on_user_error
from optical_sweeps.runs.run import main_score, take_run
from optical_sweeps.runs.run_folder import RunFolder, RunIsTaken
from optical_sweeps.sweeps.run_id_resolver import register_resolvers

register_resolvers()  # a launcher's worker process enters by importing this module


@leave_on_user_error
def perform(config: DictConfig) -> float:
    """Perform the run unless it is done; return its main score on dev, NaN if it failed or has none.

    In a multirun a failed run does not stop the others: it leaves `FAILED.json` and prints one line.
    """
    # With hydra.job.chdir=true Hydra has entered the run's folder, where relative paths mean other files.
    with contextlib.chdir(HydraConfig.get().runtime.cwd):
        return _perform(config)


def _perform(config: DictConfig) -> float:
    hydra = HydraConfig.get()
    is_job = hydra.mode == RunMode.MULTIRUN
    title = hydra.sweeper.get("title") if is_job and hydra.sweeper is not None else None
    try:
        run = take_run(config)
        folder, name = RunFolder(run.folder), title or run.label
        before = "" if run.perform(folder) else ", done before"
        record = folder.record()
        if run.is_first_process:
            echo(f"{name}: {_result(record)}{before}")
        return main_score(record, "dev")  # what a sweeper that searches maximises: never the test split
    except RunIsTaken:
        echo(f"{name}: another process works on it")
    except Exception as error:
        if not is_job:
            raise
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        echo(f"{title or hydra.job.override_dirname}: FAILED: {kind}{first_line(error)}")
    return nan


def _result(record: Mapping[str, object]) -> str:
    """The main measure of the test split by group, and the time: `nDCG@10 high 0.4  all 0.3, 2.1 s`."""
    measures, timings = record["measures"], record["timings"]
    assert isinstance(measures, Mapping)
    assert isinstance(timings, Mapping)
    name, slices = next(iter(measures["test"].items()))
    groups = [
        f"{key.removeprefix('group:')} {value:.3f}" for key, value in slices.items() if key.startswith("group:")
    ]
    return f"{name} {'  '.join(groups)}, {timings['total']:.1f} s"
