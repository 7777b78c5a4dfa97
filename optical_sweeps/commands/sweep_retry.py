"""`sweep retry`: run again what failed, here or where it was submitted to."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.runs.failure import CAUSES
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.sweeps.points import PointResult


def run(arguments: list[str]) -> None:
    """Choose runs by cause or by name, clear their failures, and run or submit them."""
    given = read("sweep retry", arguments, flags=("here",), options=("cause", "run"))
    grid = Grid.load(given.sweep())
    runs = chosen(grid, given.options.get("cause", ()), given.options.get("run", ()))
    submits = grid.was_submitted and "here" not in given.flags
    results = _submit(grid, runs, quiet=given.json) if submits and runs else retried(grid, runs)
    if given.json:
        echo(json.dumps({"sweep": str(grid.folder), "runs": runs, "submitted": bool(submits and runs),
                        "results": [asdict(each) for each in results]}, ensure_ascii=False))  # fmt: skip
    elif not runs:
        echo(f"nothing to retry in {grid.folder}")
    if any(each.state != "done" for each in results):
        raise SystemExit(1)


def chosen(grid: Grid, causes: Sequence[str], runs: Sequence[str]) -> list[str]:
    """The runs to retry: those named, else the failed ones, of these causes if any are given.

    Raises:
        UserError: no such cause, no such run, or a named run that is done or at work.
    """
    for cause in causes:
        if cause not in CAUSES:
            raise UserError(f"sweep retry: --cause {cause} is none of {', '.join(CAUSES)}")
    for run in runs:
        if run not in grid.runs:
            raise UserError(
                f"sweep retry: {run} is no run of {grid.folder}; optical-sweeps sweep status {grid.folder} "
                "lists them"
            )
    states = grid.states()
    for run in runs:
        if states[run] in ("done", "running", "queued"):
            raise UserError(f"sweep retry: {run} is {states[run]}; there is nothing to retry")
    wanted = list(runs) or [run for run, state in states.items() if state == "failed"]
    return [run for run in wanted if not causes or grid.runs[run].failure().get("cause", "error") in causes]


def retried(grid: Grid, runs: Sequence[str]) -> list[PointResult]:
    """Run them in this process, from the folder that the sweep was started in."""
    from optical_sweeps.sweeps.points import run_points

    if not runs:
        return []
    points = [grid.point_of[run].overrides for run in runs]
    config_dir = None if grid.config_dir is None else str(Path(grid.config_dir).resolve())
    with contextlib.chdir(started_in(grid)):
        places = [grid.place_of[run] for run in runs]
        results = run_points(
            points, config=grid.config, config_dir=config_dir, places=places, of=len(grid.runs)
        )
    for run, result in zip(runs, results, strict=False):
        if result.run not in ("", run):
            echo(f"{run} is run {result.run} now: data, backbone or configs changed since it was asked for")
    return results


def started_in(grid: Grid) -> Path:
    """The folder that the sweep's relative paths start from: its own, less `<paths.sweeps>/<sweep.name>`.

    Raises:
        UserError: the sweep was moved, or its paths cannot be told.
    """
    from optical_sweeps.sweeps.compose import hydra_composition
    from optical_sweeps.sweeps.hydra_app import hydra_app

    with hydra_app(grid.config, grid.config_dir) as app:
        config = hydra_composition(app.loader, app.master)(grid.points[-1].overrides)
        asked = Path(str(config.paths.sweeps), str(config.sweep.name))
    folder = grid.folder.resolve()
    if asked.is_absolute():
        return Path.cwd()
    parts = asked.parts
    if folder.parts[-len(parts) :] != parts:
        raise UserError(
            f"{grid.folder}: its runs land in {asked}, so it was moved; move it back to run its points"
        )
    return Path(*folder.parts[: -len(parts)])


def _submit(grid: Grid, runs: Sequence[str], *, quiet: bool) -> list[PointResult]:
    from optical_sweeps.slurm.submission import submit_again

    for run in runs:
        grid.runs[run].failure_path.unlink(missing_ok=True)
    submit_again(grid.folder, list(runs), echo=(lambda line: None) if quiet else echo)
    return []
