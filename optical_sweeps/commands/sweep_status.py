"""`sweep status`: the state of every run of a sweep, read from its folders and the scheduler."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.commands.sweep_screens import failures_text, map_text, rows_text
from optical_sweeps.console import echo
from optical_sweeps.runs.run_folder import RunFolder, State
from optical_sweeps.slurm.submission_queue import problems
from optical_sweeps.sweeps.grid import ORDER, Grid, describe
from optical_sweeps.sweeps.grid_map import grid_map

FEW = 40
"""Of more runs than these, the done ones are not listed unless asked for."""

INTERVAL = 2.0
"""Seconds between two looks while watching."""

QUEUE_INTERVAL = 10.0
"""The same where a look asks Slurm, whose controller serves everybody."""


@dataclass(frozen=True)
class RunStatus:
    """One run, as it stands.

    Args:
        step: the last optimiser step that was logged; none where it is not running.
        where: host and process, or Slurm job, that works on it.
        cause, message: why it failed.
        score: main measure over all languages, test split; none where it is not done or was not read.
    """

    run: str
    label: str
    state: State
    step: int | None = None
    where: str | None = None
    cause: str | None = None
    message: str | None = None
    score: float | None = None


def run(arguments: list[str]) -> None:
    """Print a sweep's states: once, or until it is finished."""
    given = read("sweep status", arguments, flags=("all", "map", "watch"))
    grid = Grid.load(given.sweep())
    if given.json:
        echo(json.dumps(as_json(grid, grid.states()), ensure_ascii=False))
    elif "watch" in given.flags:
        _watch(grid, given.flags)
    else:
        Console().print(_screen(grid, grid.states(), given.flags), soft_wrap=True)


def as_json(grid: Grid, states: Mapping[str, State]) -> dict[str, object]:
    """For programs: counts, and every run."""
    return {
        "sweep": str(grid.folder),
        "points": len(grid.points),
        "counts": {state: count for state in ORDER if (count := Counter(states.values())[state])},
        "problems": problems(grid.folder),
        "runs": [asdict(_status(grid, run, states[run], with_score=False)) for run in grid.runs],
    }


def _screen(grid: Grid, states: Mapping[str, State], flags: frozenset[str]) -> RenderableType:
    many = len(states) > FEW and "all" not in flags
    listed = [run for run in grid.runs if not (many and states[run] in ("done", "missing", "queued"))]
    with_score = len(listed) <= FEW
    rows = [_status(grid, run, states[run], with_score=with_score) for run in listed]
    parts: list[RenderableType] = []
    if rows and "map" not in flags:
        parts.append(rows_text([(r.run, r.state, r.label, note(r)) for r in rows]))
    shown = grid_map(grid, states)
    if shown is not None and ("map" in flags or len(shown.row_keys) == 1):
        parts.append(map_text(shown, Console().width))
    elif "map" in flags:
        parts.append(Text("no map: fewer than two keys were swept"))
    if any(state == "failed" for state in states.values()):
        parts.append(failures_text(grid.folder, _causes(grid, states)))
    if lines := problems(grid.folder):
        parts.append(Text("\n".join(lines), style="red"))
    hidden = f" ({len(states) - len(listed):,} not listed: --all)" if len(listed) < len(states) else ""
    summary = Text.assemble((describe(states), "bold"), hidden)
    return Group(*_apart(parts), summary)


def note(status: RunStatus) -> str:
    """What there is to say of a run beside its state."""
    if status.state == "done" and status.score is not None:
        return f"{status.score:.3f}"
    if status.state == "failed":
        return status.cause or ""  # the messages stand below, by cause
    if status.state == "running":
        step = f"step {status.step}" if status.step is not None else "starting"
        return f"{step}, {status.where}" if status.where else step
    return ""


def _status(grid: Grid, run: str, state: State, *, with_score: bool) -> RunStatus:
    folder, label = grid.runs[run], grid.point_of[run].label
    if state == "failed":
        why = folder.failure()
        message = " ".join(str(why.get("message", "")).split())
        return RunStatus(run, label, state, cause=str(why.get("cause", "error")), message=message)
    if state == "running":
        return RunStatus(run, label, state, step=_last_step(folder), where=_where(folder))
    score = _score(folder) if state == "done" and with_score else None
    return RunStatus(run, label, state, score=score)


def _causes(grid: Grid, states: Mapping[str, State]) -> dict[str, list[str]]:
    """The messages of failed runs, by cause."""
    causes: dict[str, list[str]] = {}
    for run, state in states.items():
        if state == "failed":
            status = _status(grid, run, state, with_score=False)
            # what differs by the run's own name alone is one message
            message = (status.message or "").replace(run, "RUN")
            causes.setdefault(status.cause or "error", []).append(message)
    return causes


def _watch(grid: Grid, flags: frozenset[str]) -> None:
    """Show the states as they change, until nothing is left to be done or Ctrl-C."""
    console = Console()
    if not console.is_terminal:
        _follow(grid)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            grid = Grid.load(grid.folder)
            states = grid.states()
            live.update(_screen(grid, states, flags), refresh=True)
            if _is_over(states):
                return
            time.sleep(_interval(grid))


def _follow(grid: Grid) -> None:
    """A line whenever something has changed."""
    before = ""
    while True:
        states = Grid.load(grid.folder).states()
        if (now := describe(states)) != before:
            echo(f"{time.strftime('%H:%M:%S')} {now}")
        before = now
        if _is_over(states):
            return
        time.sleep(_interval(grid))


def _interval(grid: Grid) -> float:
    return QUEUE_INTERVAL if grid.was_submitted else INTERVAL


def _is_over(states: Mapping[str, State]) -> bool:
    return all(state in ("done", "failed") for state in states.values())


def _apart(parts: list[RenderableType]) -> list[RenderableType]:
    return [piece for part in parts for piece in (part, Text())]


def _last_step(folder: RunFolder) -> int | None:
    """Of the last whole line of `metrics.jsonl`."""
    try:
        with folder.metrics_path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 65536))
            lines = file.read().splitlines()
        return int(json.loads(lines[-1])["step"]) if lines else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _where(folder: RunFolder) -> str | None:
    owner = folder.owner()
    if owner.get("slurm_job"):
        return f"job {owner['slurm_job']} on {owner.get('host')}"
    return f"{owner['host']} pid {owner['pid']}" if {"host", "pid"} <= set(owner) else None


def _score(folder: RunFolder) -> float | None:
    try:
        record = json.loads(folder.record_path.read_text(encoding="utf-8"))
        measures = record["measures"]["test"]
        return float(next(iter(measures.values()))["group:all"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
