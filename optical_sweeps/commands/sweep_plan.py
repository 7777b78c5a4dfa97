"""`sweep plan`: what `train -m` with these overrides would do, and what it would cost; nothing is run."""

from collections.abc import Mapping, Sequence

from optical_sweeps.commands.arguments import add_grid
from optical_sweeps.console import echo_json, terminal
from optical_sweeps.terminal_text import count_text

add_arguments = add_grid


def run(
    overrides: Sequence[str], config_dir: str | None, config_name: str, as_json: bool, multirun: bool
) -> None:
    """Plan the grid of the overrides, and print the plan."""
    from optical_sweeps.sweeps.plan_screen import plan_screen
    from optical_sweeps.sweeps.sweep_plan import plan_sweep

    plan = plan_sweep(overrides, config_name, config_dir)
    launcher, array_tasks = _launcher(plan.launcher, plan.unfinished)
    if as_json:
        facts = {**plan.as_dict(), "launcher": launcher, "array_tasks": list(array_tasks)}
        echo_json(facts)
    else:
        terminal().print(plan_screen(plan, launcher, array_tasks), soft_wrap=True)


def _launcher(settings: Mapping[str, object], runs: int) -> tuple[str, tuple[int, ...]]:
    """A description of the launcher, and how many tasks each Slurm array job would have."""
    target = str(settings["_target_"]).rpartition(".")[2]
    if target == "SlurmLauncher":
        return _slurm({key: value for key, value in settings.items() if key != "_target_"}, runs)
    if target == "BasicLauncher":
        return "this process, in sequence", ()
    if target == "JoblibLauncher":
        return f"joblib, {settings.get('n_jobs')} processes", ()
    return target, ()


def _slurm(launcher: dict[str, object], runs: int) -> tuple[str, tuple[int, ...]]:
    from optical_sweeps.settings import from_mapping
    from optical_sweeps.slurm import slurm_commands as slurm
    from optical_sweeps.slurm.slurm_settings import SlurmSettings
    from optical_sweeps.slurm.submission import packed

    settings, is_here = from_mapping(SlurmSettings, launcher), slurm.is_here()
    limit = (slurm.limits() if is_here else slurm.parse_limits("")).tasks_per_array
    tasks = len(packed([""] * runs, settings.points_per_task, settings.max_submit)) if runs else 0
    array_tasks = tuple(min(limit, tasks - first) for first in range(0, tasks, limit))
    note = "" if is_here else "; Slurm is not installed here, so this is its default limit"
    return (
        f"Slurm, up to {count_text(settings.points_per_task, 'run')} per task, {count_text(limit, 'task')} per "
        f"array{note}; a task gets {settings.placement}",
        array_tasks,
    )
