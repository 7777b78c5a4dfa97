"""Choosing the runs of a sweep to retry, and running them in this process."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import stopping
from optical_sweeps.runs.failure import CAUSES
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.sweeps.hydra_app import hydra_app
from optical_sweeps.sweeps.points import PointResult, echo_stop, run_grid_runs
from optical_sweeps.terminal_text import count_text


def runs_to_retry(grid: Grid, causes: Sequence[str], runs: Sequence[str]) -> list[str]:
    """The given runs, or all failed runs, that failed for one of the causes.

    Args:
        causes: no cause means every cause.

    Raises:
        UserError: no such cause, no such run, or a given run that is done, running or queued.
    """
    for cause in causes:
        if cause not in CAUSES:
            raise UserError(f"sweep retry: --cause {cause} is none of {', '.join(CAUSES)}")
    for run in runs:
        if run not in grid.runs:
            raise UserError(
                f"{grid.folder}: no run {run}; optical-sweeps sweep status {grid.folder} lists the runs"
            )
    states = grid.states()
    for run in runs:
        if states[run] in ("done", "running", "queued"):
            raise UserError(f"sweep retry: {run} is {states[run]}; there is nothing to retry")
    candidates = list(runs) or [run for run, state in states.items() if state == "failed"]
    return [run for run in candidates if not causes or grid.runs[run].failure().get("cause", "error") in causes]


def nothing_to_retry(grid: Grid, causes: Sequence[str]) -> str:
    """Why `runs_to_retry` chose no run, and what there is to do instead."""
    states = grid.states()
    failed = Counter(
        grid.runs[run].failure().get("cause", "error") for run, state in states.items() if state == "failed"
    )
    counts = ", ".join(f"{count:,} {cause}" for cause, count in failed.most_common())
    if failed:
        parts = [
            f"no failed run of {grid.folder} has the cause {' or '.join(causes)}; the causes are: {counts}"
        ]
    else:
        parts = [f"no run of {grid.folder} has failed"]
    if stale := sum(state == "stale" for state in states.values()):
        command = "sweep submit" if grid.was_submitted else "train -m"
        parts.append(
            f"{count_text(stale, 'run')} killed or interrupted: the {command} command of the sweep runs "
            f"{'it' if stale == 1 else 'them'} again"
        )
    return "nothing to retry: " + "; ".join(parts)


def retry_here(grid: Grid, runs: Sequence[str]) -> list[PointResult]:
    """Run them in this process, from the folder in which the sweep was started."""
    if not runs:
        return []
    config_dir = None if grid.config_dir is None else str(Path(grid.config_dir).resolve())
    with contextlib.chdir(start_folder(grid)), stopping(echo_stop):
        results = run_grid_runs(replace(grid, config_dir=config_dir), runs)
    for run, result in zip(runs, results, strict=False):
        if result.run not in ("", run):
            echo(
                f"{run} is now run {result.run}: data, backbone or configs have changed since the sweep started"
            )
    return results


def start_folder(grid: Grid) -> Path:
    """The folder in which the sweep was started: its folder without `<paths.sweeps>/<sweep.name>`.

    Raises:
        UserError: the sweep's folder was moved.
    """
    with hydra_app(grid.config, grid.config_dir) as app:
        config = Composer(app.loader, app.master).compose(grid.points[-1].overrides)
        target = Path(str(config.paths.sweeps), str(config.sweep.name))
    folder = grid.folder.resolve()
    if target.is_absolute():
        return Path.cwd()
    if folder.parts[-len(target.parts) :] != target.parts:
        raise UserError(
            f"{grid.folder}: the sweep was moved, because its runs belong into {target}; move it back first"
        )
    return Path(*folder.parts[: -len(target.parts)])
