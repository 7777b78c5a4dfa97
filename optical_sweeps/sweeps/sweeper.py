"""The sweep of `train -m`: plan, check, save the grid, launch what is missing, sum up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from optical_sweeps.checks import true_or_false, whole_number
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.compose import Composer, hydra_composition
from optical_sweeps.sweeps.expand import expand
from optical_sweeps.sweeps.grid import Grid, GridPoint, describe
from optical_sweeps.sweeps.grid_planning import plan_points


def sweep(plugin: Any, arguments: Sequence[str]) -> list[Any]:
    """Hydra's multirun.

    Args:
        plugin: the sweeper that Hydra set up: its settings, config, context and task.

    Raises:
        UserError: a bad setting, or a point that would fail; nothing was run.
        SystemExit: with 1, at the end, where a run failed or is not done.
    """
    _check(plugin)
    asked = asked_grid(plugin.config, plugin.hydra_context.config_loader, arguments)
    grid = asked.save()
    OmegaConf.save(plugin.config, grid.folder / "multirun.yaml")
    states = {run: state for run, state in grid.states().items() if run in asked.runs}
    distinct, points = len(asked.runs), len(asked.points)
    same = f" ({distinct:,} distinct runs)" if distinct < points else ""
    echo(f"{points:,} grid point{'s' * (points != 1)}{same}: {describe(states)} -> {grid.folder}")
    open_runs = [run for run, state in states.items() if state not in ("done", "queued")]
    if open_runs:
        _launch(plugin, asked, open_runs)
    return _summed_up(plugin, asked)


def asked_grid(master: Any, loader: Any, arguments: Sequence[str], composer: Composer | None = None) -> Grid:
    """The grid that a multirun's config and overrides ask for, every point composed and checked.

    Args:
        composer: to be used further by the caller; one of its own by default.

    Raises:
        UserError: a point cannot be composed, or would fail; it is named.
    """
    points = expand(master.hydra.sweeper.get("params") or {}, arguments, loader)
    composer = composer or Composer(hydra_composition(loader, master))
    elsewhere = str(master.hydra.launcher.get("_target_")).endswith(".SlurmLauncher")
    with progress("checking the grid") as advance:
        planned = tuple(plan_points(points, composer, advance, elsewhere=elsewhere))
    return Grid(
        Path(str(master.hydra.sweep.dir)),
        planned,
        str(master.hydra.job.config_name),
        config_dir_of(master.hydra),
    )


def job_of(point: GridPoint, place: int, total: int) -> tuple[str, ...]:
    """The overrides of a run's job: the point's, its folder's name, and its place in the sweep and label."""
    title = f"[{place:>{len(str(total))}}/{total}] {point.label}"
    return (*point.overrides, f"hydra.sweep.subdir={point.run}", f"++hydra.sweeper.title={quoted(title)}")


def quoted(text: str) -> str:
    """A string of Hydra's override grammar that reads as `text`; of backslashes and `${`, only nearly."""
    plain = text.replace("\\", "/").replace("${", "$ {")
    return '"' + plain.replace('"', '\\"') + '"'


def _check(plugin: Any) -> None:
    true_or_false("hydra.sweeper.fail_fast", plugin.fail_fast)
    if plugin.batch_size is not None:
        whole_number("hydra.sweeper.batch_size", plugin.batch_size, least=1)


def _launch(plugin: Any, asked: Grid, runs: Sequence[str]) -> None:
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher
    from hydra.core.plugins import Plugins

    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=plugin.hydra_context, task_function=plugin.task_function, config=plugin.config
    )
    jobs = _jobs(asked, runs, launcher)
    # In this process one by one: Hydra's returned configs take a megabyte a run.
    size = plugin.batch_size or (1 if isinstance(launcher, BasicLauncher) else len(jobs))
    for first in range(0, len(jobs), size):
        batch = runs[first : first + size]
        try:
            launcher.launch(jobs[first : first + size], initial_job_idx=first)
        except UserError:
            raise
        except Exception as error:  # one lost job must not lose the batches that follow
            echo(f"launcher: {type(error).__name__}: {first_line(error)}")
        if plugin.fail_fast and any(asked.runs[run].state() == "failed" for run in batch):
            echo("stopped after a failed run, since hydra.sweeper.fail_fast is true")
            return


def _jobs(asked: Grid, runs: Sequence[str], launcher: Any) -> list[tuple[str, ...]]:
    # Our own launchers find runs and labels in the grid, by the points' overrides.
    if type(launcher).__module__.startswith("hydra_plugins.optical_sweeps."):
        return [asked.point_of[run].overrides for run in runs]
    return [job_of(asked.point_of[run], asked.place_of[run], len(asked.runs)) for run in runs]


def _summed_up(plugin: Any, asked: Grid) -> list[Any]:
    states = {run: state for run, state in asked.states().items() if run in asked.runs}
    echo(f"{describe(states)} in {asked.folder}")
    for line in failures(asked, states):
        echo(line)
    # What another process or a scheduler works on is no failure of this command.
    if any(state in ("failed", "stale", "missing") for state in states.values()):
        plugin.hydra_context.callbacks.on_multirun_end(
            config=plugin.config, config_name=plugin.config.hydra.job.config_name
        )
        raise SystemExit(1)
    return []


def failures(grid: Grid, states: Mapping[str, State], most: int = 10) -> list[str]:
    """A line for each failed run, not too many, and what to do."""
    failed = [run for run, state in states.items() if state == "failed"]
    lines = []
    for run in failed[:most]:
        why = grid.runs[run].failure()
        cause = f" ({why['cause']})" if "cause" in why else ""
        lines.append(f"  failed{cause}: {grid.point_of[run].label}: see {grid.runs[run].failure_path}")
    if len(failed) > most:
        lines.append(f"  and {len(failed) - most:,} more: optical-sweeps sweep status {grid.folder}")
    return lines


def config_dir_of(hydra: Any) -> str | None:
    """The folder that --config-dir named, of Hydra's own part of a config."""
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line" and source.schema == "file":
            return str(Path(source.path).resolve())
    return None
