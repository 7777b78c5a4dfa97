"""A sweep as a table of states: one swept key across, the others down."""

from collections.abc import Mapping
from dataclasses import dataclass

from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.grid import ORDER, Grid, values_of

SYMBOLS: Mapping[State, str] = {
    "done": "■", "running": "▶", "queued": "○", "failed": "✗", "stale": "!", "missing": "·",
}  # fmt: skip
URGENT: tuple[State, ...] = ("failed", "stale", "running", "queued", "missing", "done")
"""If several runs share a cell, it shows the first of these states."""


@dataclass(frozen=True)
class GridMap:
    """States by row and column; a cell is None if the sweep has no such point.

    Args:
        column_key: the key whose values are the columns.
        row_keys: the keys whose values are the rows.
    """

    column_key: str
    columns: tuple[str, ...]
    row_keys: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    cells: Mapping[tuple[tuple[str, ...], str], State]

    def row_label(self, row: tuple[str, ...]) -> str:
        """The values of a row; a number is preceded by its key."""
        return " ".join(
            f"{key.rpartition('.')[2]}={value}" if _numeric((value,)) else value
            for key, value in zip(self.row_keys, row, strict=True)
        )

    def cell(self, row: tuple[str, ...], column: str) -> State | None:
        return self.cells.get((row, column))


def axes(grid: Grid) -> dict[str, tuple[str, ...]]:
    """The swept keys and their values, in the order in which they were requested."""
    values: dict[str, dict[str, None]] = {}
    seen: dict[str, int] = {}
    for point in grid.points:
        for key, value in values_of(point.overrides).items():
            values.setdefault(key, {})[value] = None
            seen[key] = seen.get(key, 0) + 1
    return {
        key: tuple(distinct)
        for key, distinct in values.items()
        if len(distinct) > 1 and seen[key] == len(grid.points)
    }


def grid_map(grid: Grid, states: Mapping[str, State]) -> GridMap | None:
    """The map, with the longest numeric axis across; None if fewer than two keys are swept."""
    swept = axes(grid)
    if len(swept) < 2:
        return None
    across = max(swept, key=lambda key: (_numeric(swept[key]), len(swept[key])))
    down = tuple(key for key in swept if key != across)
    cells: dict[tuple[tuple[str, ...], str], State] = {}
    for point in grid.points:
        values = values_of(point.overrides)
        place = (tuple(values[key] for key in down), values[across])
        state = states[point.run]
        cells[place] = min(cells.get(place, state), state, key=URGENT.index)
    columns = tuple(sorted(swept[across], key=float)) if _numeric(swept[across]) else swept[across]
    rows = sorted({row for row, _ in cells}, key=lambda row: tuple(map(_order, row, (swept[k] for k in down))))
    return GridMap(across, columns, down, tuple(rows), cells)


def legend() -> list[tuple[State, str]]:
    """Every state and its symbol, in the order in which they are listed."""
    return [(state, SYMBOLS[state]) for state in ORDER]


def _order(value: str, requested: tuple[str, ...]) -> tuple[float, int]:
    return (float(value), 0) if _numeric(requested) else (0.0, requested.index(value))


def _numeric(values: tuple[str, ...]) -> bool:
    try:
        return all(float(value) == float(value) for value in values)
    except ValueError:
        return False
