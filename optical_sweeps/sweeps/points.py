"""Performs points of a sweep one after another in this process, for a Slurm task and for `sweep retry`."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import how_to_continue, stopping
from optical_sweeps.runs.run_folder import RunFolder, State
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.grid_planning import PlannedPoint, Planner
from optical_sweeps.sweeps.hydra_app import HydraApp, hydra_app
from optical_sweeps.sweeps.sweeper import job_of


@dataclass(frozen=True)
class PointResult:
    """How a point ended.

    Args:
        run: the id of its run; empty if the point cannot be composed or fails its checks.
        state: `done`, `failed`; `running` if another process works on it.
        error: why it failed, in one line.
    """

    overrides: tuple[str, ...]
    run: str
    state: State
    error: str | None = None


def run_points(
    overrides: Sequence[Sequence[str]], *, config: str = "train", config_dir: str | None = None
) -> list[PointResult]:
    """Perform the points that are not done; imports, data and shared parts are loaded once.

    A failed point leaves its error in its folder and does not stop the others. An interruption is raised.

    Args:
        overrides: of each point, as in `Grid.points`.
        config, config_dir: as in `Grid`.

    Returns:
        one result for each point, in order.

    Raises:
        UserError: the config itself does not compose.
    """
    with hydra_app(config, config_dir) as app, stopping(echo_stop):
        planner = Planner(Composer(app.loader, app.master))
        return [
            _run_point(app, planner, point, number, len(overrides))
            for number, point in enumerate(overrides, start=1)
        ]


def run_grid_runs(grid: Grid, runs: Sequence[str]) -> list[PointResult]:
    """Like `run_points`, for runs of a grid; their titles show their places in it."""
    with hydra_app(grid.config, grid.config_dir) as app:
        planner = Planner(Composer(app.loader, app.master))
        return [
            _run_point(app, planner, grid.point_of[run].overrides, grid.place_of[run], len(grid.runs))
            for run in runs
        ]


def echo_stop(number: signal.Signals) -> None:
    """Print one line on the signal that stops the points' runs."""
    echo(f"stopped by {number.name}; {how_to_continue()}")


def _run_point(
    app: HydraApp, planner: Planner, overrides: Sequence[str], number: int, total: int
) -> PointResult:
    try:
        planned = planner.point(overrides)
    except UserError as error:
        echo(f"{' '.join(overrides)}: FAILED: {error}")
        return PointResult(tuple(overrides), "", "failed", error=str(error))
    return run_planned(app, planned, number, total)


def run_planned(app: HydraApp, planned: PlannedPoint, number: int, total: int) -> PointResult:
    """Perform the run of a planned point unless it is done.

    Args:
        number, total: the run's place, for its title.
    """
    point: GridPoint = planned.point
    folder = RunFolder(planned.sweep / point.run)
    if folder.state() != "done":
        app.launch_here(job_of(point, number, total), planned.sweep, number)
    state = folder.state()
    message = folder.failure().get("message") if state == "failed" else None
    return PointResult(point.overrides, point.run, state, None if message is None else str(message))
