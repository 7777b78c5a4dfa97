"""A sweep as a map: swept values across and down, the state of every run where they meet."""

from collections.abc import Mapping
from dataclasses import dataclass

from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.grid import ORDER, Grid, values_of

SYMBOLS: Mapping[State, str] = {
    "done": "■", "running": "▶", "queued": "○", "failed": "✗", "stale": "!", "missing": "·",
}  # fmt: skip
URGENT: tuple[State, ...] = ("failed", "stale", "running", "queued", "missing", "done")
"""Where several runs share a cell, it shows the first of these."""


@dataclass(frozen=True)
class GridMap:
    """States by row and column; a cell is None where the sweep has no such point.

    Args:
        column_key: what varies across.
        row_keys: what varies down.
    """

    column_key: str
    columns: tuple[str, ...]
    row_keys: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    cells: Mapping[tuple[tuple[str, ...], str], State]

    def row_label(self, row: tuple[str, ...]) -> str:
        return " ".join(
            value if key == "objective" else f"{key.rpartition('.')[2]}={value}"
            for key, value in zip(self.row_keys, row, strict=True)
        )

    def cell(self, row: tuple[str, ...], column: str) -> State | None:
        return self.cells.get((row, column))


def axes(grid: Grid) -> dict[str, tuple[str, ...]]:
    """The swept keys and their values, in the order in which they were asked for."""
    values: dict[str, dict[str, None]] = {}
    seen: dict[str, int] = {}
    for point in grid.points:
        for key, value in values_of(point.overrides).items():
            values.setdefault(key, {})[value] = None
            seen[key] = seen.get(key, 0) + 1
    return {key: tuple(of) for key, of in values.items() if len(of) > 1 and seen[key] == len(grid.points)}


def grid_map(grid: Grid, states: Mapping[str, State]) -> GridMap | None:
    """The map, its longest numeric axis across, all others down; None where fewer than two keys are swept."""
    swept = axes(grid)
    if len(swept) < 2:
        return None
    across = max(swept, key=lambda key: (_numeric(swept[key]), len(swept[key])))
    down = tuple(key for key in swept if key != across)
    cells: dict[tuple[tuple[str, ...], str], State] = {}
    for point in grid.points:
        values = values_of(point.overrides)
        place = (tuple(values[key] for key in down), values[across])
        here, state = cells.get(place), states[point.run]
        cells[place] = state if here is None else min(here, state, key=URGENT.index)
    columns = tuple(sorted(swept[across], key=float)) if _numeric(swept[across]) else swept[across]
    rows = sorted({row for row, _ in cells}, key=lambda row: tuple(map(_order, row, (swept[k] for k in down))))
    return GridMap(across, columns, down, tuple(rows), cells)


def legend() -> list[tuple[State, str]]:
    """Every state and its symbol, as they are told."""
    return [(state, SYMBOLS[state]) for state in ORDER]


def _order(value: str, asked: tuple[str, ...]) -> tuple[float, int]:
    return (float(value), 0) if _numeric(asked) else (0.0, asked.index(value))


def _numeric(values: tuple[str, ...]) -> bool:
    try:
        return all(float(value) == float(value) for value in values)
    except ValueError:
        return False
