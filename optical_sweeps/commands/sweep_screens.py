"""What `sweep status` and `sweep plan` draw in the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.grid_map import SYMBOLS, GridMap, legend

STYLES: Mapping[State, str] = {
    "done": "green", "running": "cyan", "queued": "blue", "failed": "bold red", "stale": "yellow",
    "missing": "dim",
}  # fmt: skip


def rows_text(rows: Sequence[tuple[str, State, str, str]]) -> Text:
    """Runs, one a line: id, state, label, note. By hand: rich takes seconds for a table of thousands."""
    run_width = max(len(run) for run, *_ in rows)
    label_width = max(len(label) for _, _, label, _ in rows)
    text = Text()
    head = f"{'run':<{run_width}}  {'state':<9}  {'point':<{label_width}}"
    text.append(head.rstrip() + "\n", "bold")
    for run, state, label, note in rows:
        text.append(f"{run:<{run_width}}  ")
        text.append(f"{SYMBOLS[state]} {state:<7}", STYLES[state])
        text.append(f"  {label:<{label_width}}  {note}".rstrip() + "\n")
    text.right_crop(1)
    return text


def map_text(grid_map: GridMap, width: int) -> Text:
    """The map, its legend below; columns are drawn close where they would not fit otherwise."""
    labels = [grid_map.row_label(row) for row in grid_map.rows]
    margin = max(map(len, labels), default=0)
    cell = max(map(len, grid_map.columns)) + 1
    close = margin + 1 + cell * len(grid_map.columns) > width
    text = Text()
    key = f"{grid_map.column_key} "
    if close:
        span = max(len(grid_map.columns), len(grid_map.columns[0]) + len(grid_map.columns[-1]) + 2)
        ends = grid_map.columns[0], grid_map.columns[-1]
        dots = "…".center(span - len(ends[0]) - len(ends[1]))
        text.append(f"{key.strip()[-margin:]:>{margin}}  {ends[0]}{dots}{ends[1]}\n", "bold")
    else:
        heads = "".join(f"{column:>{cell}}" for column in grid_map.columns)
        margin = max(margin, len(key) - 1)
        text.append(f"{key.strip():>{margin}} {heads}\n", "bold")
    for row, label in zip(grid_map.rows, labels, strict=True):
        text.append(f"{label:>{margin}} ")
        text.append(" " if close else "")
        for column in grid_map.columns:
            state = grid_map.cell(row, column)
            symbol = " " if state is None else SYMBOLS[state]
            text.append(symbol if close else f"{symbol:>{cell}}", STYLES[state] if state else "")
        text.append("\n")
    text.append(" " * (margin + 1))
    present = set(grid_map.cells.values())
    for state, symbol in legend():
        if state in present:
            text.append(f" {symbol}", STYLES[state])
            text.append(f" {state} ")
    text.rstrip()
    return text


def failures_text(sweep: Path, causes: Mapping[str, Sequence[str]], most: int = 3) -> Text:
    """Failed runs by cause: how many, of what, and how to run them again."""
    text = Text()
    for cause, messages in sorted(causes.items(), key=lambda item: -len(item[1])):
        text.append(f"{len(messages):,} failed: {cause}", "bold red")
        text.append(f"  optical-sweeps sweep retry {sweep} --cause {cause}\n", "dim")
        common = Counter(messages).most_common(most)
        for message, count in common:
            text.append(f"  {f'{count:,} x ' if count > 1 else ''}{message}\n")
        if len(set(messages)) > most:
            text.append(f"  and {len(set(messages)) - most:,} other messages\n")
    text.right_crop(1)
    return text
