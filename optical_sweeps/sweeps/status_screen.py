"""The states of a sweep's runs as text: a table, a map of two axes, and failures by cause."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from optical_sweeps.limits import parse_json, read_json
from optical_sweeps.runs.run_folder import RunFolder, State
from optical_sweeps.sweeps.grid import Grid, describe
from optical_sweeps.sweeps.grid_map import SYMBOLS, GridMap, grid_map, legend

STYLES: Mapping[State, str] = {
    "done": "green", "running": "cyan", "queued": "blue", "failed": "bold red", "stale": "yellow",
    "missing": "dim",
}  # fmt: skip
MAX_LISTED = 40
"""Sweeps of more runs than this list their done, missing and queued runs only on request."""
TAIL_BYTES = 65_536
"""How much of the end of `metrics.jsonl` is read to find its last line."""


@dataclass(frozen=True)
class RunStatus:
    """The state of one run.

    Args:
        step: last logged optimiser step of a running run.
        where: host and process, or Slurm job, of a running run.
        cause, message: why a failed run failed.
        score: main measure over all languages on the test split, of a done run.
    """

    run: str
    label: str
    state: State
    step: int | None = None
    where: str | None = None
    cause: str | None = None
    message: str | None = None
    score: float | None = None

    @property
    def note(self) -> str:
        """What the table shows beside the state; the messages of failed runs are listed by cause."""
        if self.state == "done" and self.score is not None:
            return f"{self.score:.3f}"
        if self.state == "failed":
            return self.cause or ""
        if self.state == "running":
            step = f"step {self.step}" if self.step is not None else "starting"
            return f"{step}, {self.where}" if self.where else step
        return ""


def run_status(grid: Grid, run: str, state: State, *, with_score: bool) -> RunStatus:
    """The status of a run from the files in its folder."""
    folder, label = grid.runs[run], grid.point_of[run].label
    if state == "failed":
        failure = folder.failure()
        message = " ".join(str(failure.get("message", "")).split())
        return RunStatus(run, label, state, cause=str(failure.get("cause", "error")), message=message)
    if state == "running":
        return RunStatus(run, label, state, step=_last_step(folder), where=_where(folder))
    score = _score(folder) if state == "done" and with_score else None
    return RunStatus(run, label, state, score=score)


def status_screen(
    grid: Grid,
    states: Mapping[str, State],
    problems: Sequence[str],
    width: int,
    *,
    list_all: bool = False,
    only_map: bool = False,
) -> RenderableType:
    """The whole screen of `sweep status`.

    Args:
        problems: lines of the scheduler that need the user's action.
        width: of the terminal, in columns.
        list_all: list every run of a large sweep.
        only_map: show the map instead of the table.
    """
    hides_some = len(states) > MAX_LISTED and not list_all
    listed = [run for run in grid.runs if not (hides_some and states[run] in ("done", "missing", "queued"))]
    statuses = [run_status(grid, run, states[run], with_score=len(listed) <= MAX_LISTED) for run in listed]
    parts: list[RenderableType] = []
    if statuses and not only_map:
        parts.append(table_text(statuses))
    shown = grid_map(grid, states)
    if shown is not None and (only_map or len(shown.row_keys) == 1):
        parts.append(map_text(shown, width))
    elif only_map:
        parts.append(Text("no map: fewer than two keys were swept"))
    if "failed" in states.values():
        parts.append(failures_text(grid.folder, _failures(grid, states)))
    if problems:
        parts.append(Text("\n".join(problems), style="red"))
    hidden = f" ({len(states) - len(listed):,} not listed: --all)" if len(listed) < len(states) else ""
    summary = Text.assemble((describe(states), "bold"), hidden)
    return Group(*(piece for part in parts for piece in (part, Text())), summary)


def table_text(statuses: Sequence[RunStatus]) -> Text:
    """One line per run: id, state, label, note. rich's own table takes seconds for thousands of rows."""
    run_width = max(len(status.run) for status in statuses)
    label_width = max(len(status.label) for status in statuses)
    text = Text()
    head = f"{'run':<{run_width}}  {'state':<9}  {'point':<{label_width}}"
    text.append(head.rstrip() + "\n", "bold")
    for status in statuses:
        text.append(f"{status.run:<{run_width}}  ")
        text.append(f"{SYMBOLS[status.state]} {status.state:<7}", STYLES[status.state])
        text.append(f"  {status.label:<{label_width}}  {status.note}".rstrip() + "\n")
    text.right_crop(1)
    return text


def map_text(shown: GridMap, width: int) -> Text:
    """The map above its legend; columns are narrow if they would not fit into `width` otherwise."""
    labels = [shown.row_label(row) for row in shown.rows]
    margin = max(map(len, labels), default=0)
    cell = max(map(len, shown.columns)) + 1
    is_narrow = margin + 1 + cell * len(shown.columns) > width
    text = Text()
    if is_narrow:
        first, last = shown.columns[0], shown.columns[-1]
        span = max(len(shown.columns), len(first) + len(last) + 2)
        dots = "…".center(span - len(first) - len(last))
        text.append(f"{shown.column_key[-margin:]:>{margin}}  {first}{dots}{last}\n", "bold")
    else:
        heads = "".join(f"{column:>{cell}}" for column in shown.columns)
        margin = max(margin, len(shown.column_key))
        text.append(f"{shown.column_key:>{margin}} {heads}\n", "bold")
    for row, label in zip(shown.rows, labels, strict=True):
        text.append(f"{label:>{margin}} ")
        text.append(" " if is_narrow else "")
        for column in shown.columns:
            state = shown.cell(row, column)
            symbol = " " if state is None else SYMBOLS[state]
            text.append(symbol if is_narrow else f"{symbol:>{cell}}", STYLES[state] if state else "")
        text.append("\n")
    text.append(" " * (margin + 1))
    present = set(shown.cells.values())
    for state, symbol in legend():
        if state in present:
            text.append(f" {symbol}", STYLES[state])
            text.append(f" {state} ")
    text.rstrip()
    return text


def failures_text(sweep: Path, causes: Mapping[str, Sequence[str]], limit: int = 3) -> Text:
    """Failed runs by cause: how many, their most common messages, and the command that retries them."""
    text = Text()
    for cause, messages in sorted(causes.items(), key=lambda item: -len(item[1])):
        text.append(f"{len(messages):,} failed: {cause}", "bold red")
        text.append(f"  optical-sweeps sweep retry {sweep} --cause {cause}\n", "dim")
        for message, count in Counter(messages).most_common(limit):
            text.append(f"  {f'{count:,} x ' if count > 1 else ''}{message}\n")
        if len(set(messages)) > limit:
            text.append(f"  and {len(set(messages)) - limit:,} other messages\n")
    text.right_crop(1)
    return text


def _failures(grid: Grid, states: Mapping[str, State]) -> dict[str, list[str]]:
    """The messages of failed runs, by cause."""
    causes: dict[str, list[str]] = {}
    for run, state in states.items():
        if state == "failed":
            status = run_status(grid, run, state, with_score=False)
            # messages that differ only in the run's id are counted as one
            message = (status.message or "").replace(run, "RUN")
            causes.setdefault(status.cause or "error", []).append(message)
    return causes


def _last_step(folder: RunFolder) -> int | None:
    """The step in the last complete line of `metrics.jsonl`."""
    try:
        with folder.metrics_path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().splitlines()
        return int(parse_json(lines[-1])["step"]) if lines else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _where(folder: RunFolder) -> str | None:
    owner = folder.owner()
    if owner.get("slurm_job"):
        return f"job {owner['slurm_job']} on {owner.get('host')}"
    return f"{owner['host']} pid {owner['pid']}" if {"host", "pid"} <= set(owner) else None


def _score(folder: RunFolder) -> float | None:
    try:
        record = read_json(folder.record_path)
        measures = record["measures"]["test"]
        return float(next(iter(measures.values()))["group:all"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
