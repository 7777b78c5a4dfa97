"""The table of a sweep's states."""

from pathlib import Path

from optical_sweeps.runs.run_folder import State
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.grid_map import SYMBOLS, axes, grid_map


def grid(*points: str) -> Grid:
    return Grid(Path("sweep"), tuple(GridPoint(tuple(text.split()), text, text) for text in points))


def states(grid: Grid) -> dict[str, State]:
    return dict.fromkeys(grid.runs, "done")


TWO = grid(*(f"data=x objective={o} mixture.ratio={r}" for r in ("1", "0.5", "0") for o in ("b", "a")))


def test_axes_are_set_by_every_point_and_vary():
    assert axes(TWO) == {"objective": ("b", "a"), "mixture.ratio": ("1", "0.5", "0")}
    more = grid(*TWO.runs, "data=x objective=a mixture.ratio=0 logger=none")
    assert axes(more) == axes(TWO)


def test_of_two_axes_the_numeric_one_is_across_and_sorted():
    found = grid_map(TWO, {**states(TWO), "data=x objective=a mixture.ratio=0.5": "failed"})
    assert found is not None
    assert (found.column_key, found.columns) == ("mixture.ratio", ("0", "0.5", "1"))
    assert (found.row_keys, found.rows) == (("objective",), (("b",), ("a",)))  # words in the order of the grid
    assert found.cell(("a",), "0.5") == "failed"
    assert found.cell(("b",), "0.5") == "done"
    assert found.row_label(("a",)) == "a"


def test_of_three_axes_two_are_rows():
    three = grid(
        *(f"objective={o} mixture.ratio={r} seed={s}" for o in "ab" for r in (0, 1, 2) for s in (2, 10))
    )
    found = grid_map(three, states(three))
    assert found is not None
    assert found.column_key == "mixture.ratio"
    assert [found.row_label(row) for row in found.rows] == ["a seed=2", "a seed=10", "b seed=2", "b seed=10"]


def test_a_missing_point_has_no_state():
    found = grid_map(holed := grid("a=1 b=1", "a=2 b=2"), states(holed))
    assert found is not None
    assert found.cell(("1",), "1") == "done"
    assert found.cell(("1",), "2") is None


def test_one_axis_has_no_map():
    one = grid("a=1 b=1", "a=2 b=1")
    assert grid_map(one, states(one)) is None


def test_a_cell_of_several_runs_shows_the_most_urgent_state():
    points = (
        GridPoint(("a=1", "b=1", "c=1"), "x", ""),
        GridPoint(("a=1", "b=1"), "y", ""),
        GridPoint(("a=2", "b=2"), "z", ""),
    )
    found = grid_map(Grid(Path("s"), points), {"x": "failed", "y": "done", "z": "done"})
    assert found is not None
    assert found.cell(("1",), "1") == "failed"


def test_every_state_has_its_own_symbol():
    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == 6
