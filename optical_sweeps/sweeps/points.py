"""Points of a sweep, one after the other in this process: what a worker and a retry do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder, State


@dataclass(frozen=True)
class PointResult:
    """How a point ended.

    Args:
        run: its run; empty where the point is not even a run, as `error` says.
        state: `done`, `failed`; `running` where another process works on it.
        score: dev score of all languages; NaN where it is not done.
        error: why it failed, one line.
    """

    overrides: tuple[str, ...]
    run: str
    state: State
    score: float = math.nan
    error: str | None = None


def run_points(
    overrides: Sequence[Sequence[str]],
    *,
    config: str = "train",
    config_dir: str | None = None,
    places: Sequence[int] | None = None,
    of: int | None = None,
    fail_fast: bool = False,
) -> list[PointResult]:
    """Run points that are not done; imports, corpora and shared parts are loaded once.

    A point's failure is kept in its folder and stops the others only with `fail_fast`. An interruption passes.

    Args:
        overrides: of each point, as `Grid.points` holds them.
        config, config_dir: as in `Grid`.
        places, of: where each stands in its sweep, from 1, and of how many runs; by default, in `overrides`.

    Returns:
        one result a point that was reached, in order.

    Raises:
        UserError: the config itself does not compose.
    """
    from optical_sweeps.commands import train
    from optical_sweeps.sweeps.compose import Composer, hydra_composition
    from optical_sweeps.sweeps.grid_planning import Planner
    from optical_sweeps.sweeps.hydra_app import hydra_app
    from optical_sweeps.sweeps.sweeper import job_of

    results: list[PointResult] = []
    with hydra_app(config, config_dir) as app:
        planner = Planner(Composer(hydra_composition(app.loader, app.master)))
        for number, of_point in zip(places or range(1, len(overrides) + 1), overrides, strict=True):
            try:
                point, sweep = planner.placed(of_point)
            except UserError as error:
                echo(f"{' '.join(of_point)}: FAILED: {error}")
                results.append(PointResult(tuple(of_point), "", "failed", error=str(error)))
            else:
                folder = RunFolder(sweep / point.run)
                score: object = math.nan
                if folder.state() != "done":
                    job = job_of(point, number, of or len(overrides))
                    score = app.launch_here(train.run, job, sweep, number)
                results.append(_result(point.overrides, point.run, folder, score))
            if fail_fast and results[-1].state == "failed":
                break
    return results


def _result(overrides: tuple[str, ...], run: str, folder: RunFolder, score: object) -> PointResult:
    state = folder.state()
    error = folder.failure().get("message") if state == "failed" else None
    return PointResult(overrides, run, state, score if isinstance(score, float) else math.nan, error)
