"""The sweep of a multirun: plan and check the grid, save it, launch what is missing, sum up."""

import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol, runtime_checkable

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, read_write

from optical_sweeps.checks import Count
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.interruption import how_to_continue, stopping
from optical_sweeps.redaction import HIDDEN, redacted
from optical_sweeps.runs.run_folder import State, write_text
from optical_sweeps.settings import from_mapping, settings
from optical_sweeps.sweeps.grid import Grid, GridPoint, describe
from optical_sweeps.sweeps.grid_planning import plan_grid
from optical_sweeps.sweeps.worker_processes import end_workers
from optical_sweeps.terminal_text import count_text

OWN_LAUNCHERS = "hydra_plugins.optical_sweeps."
LISTED_FAILURES = 10


@settings("hydra.sweeper")
class SweeperSettings:
    """Settings of the sweeper.

    Args:
        fail_fast: stop after the first batch with a failed run.
        batch_size: runs handed to the launcher at a time; None: one if they run in this process, else all.
    """

    fail_fast: bool = False
    batch_size: Count | None = None


@runtime_checkable
class SweeperPlugin(Protocol):
    """The sweeper that Hydra has set up."""

    options: Mapping[str, object]
    config: DictConfig
    hydra_context: HydraContext
    task_function: TaskFunction


def sweep(plugin: SweeperPlugin, arguments: Sequence[str]) -> None:
    """Run what is missing of the grid that the overrides describe.

    Raises:
        UserError: a bad setting, or a point that would fail; nothing was run.
        SystemExit: with 1, at the end, if a run failed or is not done.
    """
    options = from_mapping(SweeperSettings, plugin.options)
    requested = plan_grid(plugin.config, plugin.hydra_context.config_loader, arguments).grid  # type: ignore[arg-type]
    submits = str(plugin.config.hydra.launcher.get("_target_")).startswith(OWN_LAUNCHERS)
    with requested.saved() if submits else nullcontext(requested.save()) as grid:
        _launch_missing(plugin, options, grid, requested)
    _sum_up(plugin, requested)


def _launch_missing(plugin: SweeperPlugin, options: SweeperSettings, grid: Grid, requested: Grid) -> None:
    """Launch the requested runs that are neither done nor queued."""
    write_text(grid.folder / "multirun.yaml", _without_environment(plugin.config))
    states = _states(grid, requested)
    distinct, points = len(requested.runs), len(requested.points)
    same = f" ({distinct:,} distinct runs)" if distinct < points else ""
    echo(f"{count_text(points, 'grid point')}{same}: {describe(states)} -> {grid.folder}")
    open_runs = [run for run, state in states.items() if state not in ("done", "queued")]
    if open_runs:
        _launch(plugin, options, requested, open_runs)


def _without_environment(config: DictConfig) -> str:
    """The multirun's config as YAML, without the values of the launcher's environment, which may be secrets."""
    copy = config.copy()
    launcher = OmegaConf.select(copy, "hydra.launcher")
    if isinstance(launcher, DictConfig) and isinstance(launcher.get("environment"), DictConfig):
        with read_write(copy):
            launcher.environment = dict.fromkeys(launcher.environment, HIDDEN)
    return redacted(OmegaConf.to_yaml(copy))


def job_of(point: GridPoint, number: int, total: int) -> tuple[str, ...]:
    """The overrides of a run's job: those of its point, its folder's name, and its title."""
    title = f"[{number:>{len(str(total))}}/{total}] {point.label}"
    return (
        *point.overrides,
        f"hydra.sweep.subdir={quoted(point.run)}",
        f"++hydra.sweeper.title={quoted(title)}",
    )


def quoted(text: str) -> str:
    r"""A string of Hydra's override grammar that reads as `text`, except that it changes `\` and `${`."""
    plain = text.replace("\\", "/").replace("${", "$ {")
    return '"' + plain.replace('"', '\\"') + '"'


def _states(grid: Grid, requested: Grid) -> dict[str, State]:
    return {run: state for run, state in grid.states().items() if run in requested.runs}


def _launch(plugin: SweeperPlugin, options: SweeperSettings, grid: Grid, runs: Sequence[str]) -> None:
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=plugin.hydra_context, task_function=plugin.task_function, config=plugin.config
    )
    jobs = _jobs(grid, runs, launcher)
    # In this process one by one: the configs that Hydra returns take a megabyte per run.
    size = options.batch_size or (1 if _runs_here(launcher) else len(jobs))
    for first in range(0, len(jobs), size):
        batch = runs[first : first + size]
        try:
            with _stopping(launcher, grid):
                launcher.launch(jobs[first : first + size], initial_job_idx=first)
        except UserError:
            raise
        except Exception as error:  # one lost job must not lose the batches that follow
            echo(f"launcher: {type(error).__name__}: {first_line(error)}")
        if options.fail_fast and any(grid.runs[run].state() == "failed" for run in batch):
            echo("stopped after a failed run, since hydra.sweeper.fail_fast is true")
            return


def _stopping(launcher: Launcher, grid: Grid) -> AbstractContextManager[None]:
    """On SIGTERM, stop the sweep and the launcher's workers; the jobs of our own launchers continue."""
    if _is_own(launcher):
        return nullcontext()

    def stop(number: signal.Signals) -> None:
        stopped = end_workers(grid.runs)
        states = dict(_states(grid, grid))
        interrupted: dict[str, State | Literal["interrupted"]] = {
            run: "interrupted" for run in stopped if states[run] in ("running", "stale")
        }
        counts = describe({**states, **interrupted})
        echo(f"sweep stopped by {number.name}: {counts} in {grid.folder}; {how_to_continue()}")

    return stopping(stop)


def _runs_here(launcher: Launcher) -> bool:
    """Whether the launcher performs the jobs in this process."""
    # Hydra executes the modules of its plugins again when it looks for plugins, so there may be several classes
    # of this name.
    names = type(launcher).__module__, type(launcher).__qualname__
    return names == (BasicLauncher.__module__, BasicLauncher.__qualname__)


def _is_own(launcher: Launcher) -> bool:
    return type(launcher).__module__.startswith(OWN_LAUNCHERS)


def _jobs(grid: Grid, runs: Sequence[str], launcher: Launcher) -> list[tuple[str, ...]]:
    # Our own launchers look up runs and labels in the grid, by the points' overrides.
    if _is_own(launcher):
        return [grid.point_of[run].overrides for run in runs]
    return [job_of(grid.point_of[run], grid.place_of[run], len(grid.runs)) for run in runs]


def _sum_up(plugin: SweeperPlugin, requested: Grid) -> None:
    states = _states(requested, requested)
    echo(f"{describe(states)} in {requested.folder}")
    for line in failures(requested, states):
        echo(line)
    # A run that another process or Slurm works on is no failure of this command.
    if any(state in ("failed", "stale", "missing") for state in states.values()):
        plugin.hydra_context.callbacks.on_multirun_end(
            config=plugin.config, config_name=plugin.config.hydra.job.config_name
        )
        raise SystemExit(1)


def failures(grid: Grid, states: Mapping[str, State]) -> list[str]:
    """One line for each of the first failed runs, and where to read about the others."""
    failed = [run for run, state in states.items() if state == "failed"]
    lines = []
    for run in failed[:LISTED_FAILURES]:
        failure = grid.runs[run].failure()
        cause = f" ({failure['cause']})" if "cause" in failure else ""
        lines.append(f"  failed{cause}: {grid.point_of[run].label}: see {grid.runs[run].failure_path}")
    if len(failed) > LISTED_FAILURES:
        lines.append(f"  and {len(failed) - LISTED_FAILURES:,} more: optical-sweeps sweep status {grid.folder}")
    return lines
