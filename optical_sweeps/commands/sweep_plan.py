"""`sweep plan`: what `train -m` with these overrides would do, and what it would cost; nothing is run."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo
from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.estimate import Estimate
from optical_sweeps.sweeps.grid import ORDER, Grid


@dataclass(frozen=True)
class Shared:
    """What some runs share: a teacher, an index, English vectors."""

    runs: int
    in_store: bool


@dataclass(frozen=True)
class Plan:
    """The grid, and what it would take.

    Args:
        launcher: who would run it, in words.
        tasks_per_job: array chunks, where it would be submitted to Slurm.
    """

    grid: Grid
    states: Mapping[str, State]
    axes: Mapping[str, tuple[str, ...]]
    shared: tuple[Shared, ...]
    estimate: Estimate
    launcher: str
    tasks_per_job: tuple[int, ...]

    @property
    def open_runs(self) -> list[str]:
        return [run for run, state in self.states.items() if state not in ("done", "queued", "running")]


def run(arguments: list[str]) -> None:
    """Plan the grid that the overrides ask for, and print the plan."""
    given = read("sweep plan", arguments, flags=("m", "multirun"), options=("config-dir", "cd", "config-name"))
    plan = made(given.words, given.one("config-name") or "train", given.one("config-dir") or given.one("cd"))
    if given.json:
        echo(json.dumps(as_json(plan), ensure_ascii=False))
    else:
        Console().print(screen(plan), soft_wrap=True)


def made(overrides: tuple[str, ...], config: str = "train", config_dir: str | None = None) -> Plan:
    """The plan of a sweep; every point is composed and checked.

    Raises:
        UserError: a point cannot be composed, or would fail; it is named.
    """
    from omegaconf import OmegaConf

    from optical_sweeps.sweeps.compose import Composer, hydra_composition, plain
    from optical_sweeps.sweeps.estimate import estimate, experience_near
    from optical_sweeps.sweeps.grid_map import axes
    from optical_sweeps.sweeps.hydra_app import hydra_app
    from optical_sweeps.sweeps.preparation import is_prepared, shared_among
    from optical_sweeps.sweeps.sweeper import asked_grid

    with hydra_app(config, config_dir, overrides) as app:
        composer = Composer(hydra_composition(app.loader, app.master))
        task = list(app.master.hydra.overrides.task)
        grid = asked_grid(app.master, app.loader, task, composer)
        states = grid.states()
        todo = [run for run, state in states.items() if state != "done"]
        sections = {run: composer(grid.point_of[run].overrides) for run in todo}
        past, source = experience_near(grid.folder)
        launcher: Any = OmegaConf.to_container(app.master.hydra.launcher, resolve=True)
    shared = tuple(Shared(len(s.runs), is_prepared(Path(s.marker))) for s in shared_among(sections.items()))
    told, chunks = _launched(launcher, len(todo))
    return Plan(
        grid=grid,
        states=states,
        axes=axes(grid),
        shared=shared,
        estimate=estimate((plain(each) for each in sections.values()), past, source),
        launcher=told,
        tasks_per_job=chunks,
    )


def _launched(settings: dict[str, Any], runs: int) -> tuple[str, tuple[int, ...]]:
    """Who would run them, in words, and how many tasks each array job would have."""
    target = settings.pop("_target_").rpartition(".")[2]
    if target == "SlurmLauncher":
        return _slurm(settings, runs)
    if target == "BasicLauncher":
        return "here, one run after the other", ()
    if target == "JoblibLauncher":
        return f"joblib, {settings.get('n_jobs')} processes", ()
    return target, ()


def _slurm(settings: dict[str, Any], runs: int) -> tuple[str, tuple[int, ...]]:
    from optical_sweeps.slurm import slurm_commands as slurm
    from optical_sweeps.slurm.slurm_settings import SlurmSettings
    from optical_sweeps.slurm.submission import packed

    asked = SlurmSettings.from_config(settings)
    limits = slurm.limits() if slurm.is_here() else slurm.parse_limits("")
    tasks = len(packed([""] * runs, asked.points_per_task, asked.max_submit)) if runs else 0
    most = limits.tasks_per_array
    chunks = tuple(min(most, tasks - first) for first in range(0, tasks, most))
    here = "" if slurm.is_here() else "; no Slurm here, its default limit"
    return f"Slurm, up to {asked.points_per_task} runs a task, {most:,} tasks an array{here}", chunks


def as_json(plan: Plan) -> dict[str, Any]:
    """For programs."""
    return {
        "sweep": str(plan.grid.folder),
        "points": len(plan.grid.points),
        "runs": [
            {"run": run, "label": plan.grid.point_of[run].label, "state": state}
            for run, state in plan.states.items()
        ],
        "counts": {state: n for state in ORDER if (n := Counter(plan.states.values())[state])},
        "axes": {key: list(values) for key, values in plan.axes.items()},
        "shared": [asdict(each) for each in plan.shared],
        "estimate": asdict(plan.estimate),
        "launcher": plan.launcher,
        "array_tasks": list(plan.tasks_per_job),
    }


def screen(plan: Plan) -> Text:
    """The plan for people."""
    distinct, points = len(plan.states), len(plan.grid.points)
    same = f", {distinct:,} distinct runs" if distinct < points else ""
    text = Text()
    text.append(f"{points:,} grid point{'s' * (points != 1)}{same} -> {plan.grid.folder}\n", "bold")
    width = max(map(len, plan.axes), default=0)
    for key, values in plan.axes.items():
        _row(text, "swept" if key == next(iter(plan.axes)) else "", f"{key:<{width}}  {_listed(values)}")
    counts = Counter(plan.states.values())
    _row(text, "done", f"{counts['done']:,}", "green" if counts["done"] else "")
    others = ", ".join(f"{counts[state]:,} {state}" for state in ORDER[1:] if counts[state])
    _row(text, "to do", others or "nothing")
    for each in plan.shared:
        state = "in the store" if each.in_store else "to be built once"
        _row(text, "shared", f"teacher, index, English vectors of {each.runs:,} runs: {state}")
    for label, line in _cost(plan.estimate):
        _row(text, label, line)
    _row(text, "launcher", plan.launcher)
    if plan.tasks_per_job:
        jobs = f"{len(plan.tasks_per_job)} array job{'s' * (len(plan.tasks_per_job) != 1)}"
        _row(text, "", f"{jobs}: {' + '.join(f'{n:,}' for n in plan.tasks_per_job)} tasks")
    text.append("nothing was run or submitted", "dim")
    return text


def _cost(cost: Estimate) -> list[tuple[str, str]]:
    if not cost.runs:
        return []
    if cost.unknown == cost.runs:
        return [("cost", "no record to estimate from")]
    known = cost.runs - cost.unknown
    from_what = f"from {cost.records:,} record{'s' * (cost.records != 1)} of {cost.source}"
    gpu = f", {cost.gpu_hours:,.1f} GPU hours" if cost.gpu_hours else ", no GPU"
    lines = [
        ("cost", f"{_duration(cost.hours)} one after the other{gpu}, {_size(cost.size)} on disk"),
        ("", f"{from_what}; {_duration(cost.hours / known)} a run"),
    ]
    if cost.unknown:
        lines.append(("", f"without {cost.unknown:,} runs that no record is like"))
    return lines


def _row(text: Text, label: str, line: str, style: str = "") -> None:
    text.append(f"  {label:<9} ", "dim")
    text.append(f"{line}\n", style)


def _listed(values: tuple[str, ...], most: int = 8) -> str:
    if len(values) <= most:
        return ", ".join(values)
    return f"{', '.join(values[: most - 2])}, … {values[-1]}  ({len(values):,} values)"


def _duration(hours: float) -> str:
    """
    >>> _duration(0.005), _duration(0.5), _duration(30)
    ('18 s', '30 min', '30.0 h')
    """
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.1f} h"


def _size(size: int) -> str:
    """
    >>> _size(1500), _size(3_200_000), _size(7_000_000_000)
    ('1.5 kB', '3.2 MB', '7.0 GB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
