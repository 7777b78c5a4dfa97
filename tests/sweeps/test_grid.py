"""The grid file: written, merged with earlier points, read again."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.submission_plan import SharingGroup
from optical_sweeps.sweeps.grid import GRID_FILE, Grid, GridPoint, _state, describe, values_of


def point(number: int, run: str = "") -> GridPoint:
    return GridPoint(
        (f"seed={number}", 'name="a, b"'),
        run or f"{number:012x}",
        f"label {number} ✓",
        "/store/prepared/note.json",
    )


def test_a_grid_is_read_as_it_was_written(tmp_path):
    grid = Grid(tmp_path / "sweep", (point(1), point(2)), "other", "/some/where")
    grid.save()
    assert Grid.load(grid.folder) == grid
    content = json.loads((grid.folder / GRID_FILE).read_text())
    assert content["schema"] == 3
    assert content["points"][0] == {
        "overrides": list(point(1).overrides),
        "run": point(1).run,
        "label": "label 1 ✓",
        "note": "/store/prepared/note.json",
    }


def test_earlier_points_are_kept(tmp_path):
    Grid(tmp_path, (point(1), point(2))).save()
    whole = Grid(tmp_path, (point(2, run="new"), point(3))).save()
    assert whole == Grid.load(tmp_path)
    assert [p.run for p in whole.points] == [point(1).run, "new", point(3).run]


def _save(folder: Path, number: int) -> None:
    Grid(folder, tuple(point(10 * number + each) for each in range(5))).save()


def test_processes_that_save_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_save, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(Grid.load(tmp_path).points) == 15


def test_runs_are_grouped_by_what_they_share(tmp_path):
    points = [
        GridPoint((run,), run, run, note) for run, note in (("a", "x"), ("b", "y"), ("c", "x"), ("d", None))
    ]
    grid = Grid(tmp_path, tuple(points))
    assert grid.sharing_groups(["b", "c", "a", "d"]) == [
        SharingGroup("x", ("a", "c")),
        SharingGroup("y", ("b",)),
    ]
    assert grid.sharing_groups(["c"]) == [SharingGroup("x", ("c",))]


def is_refused(grid: Grid, meanwhile: Callable[[], object]) -> None:
    with grid.saved() as whole:
        assert Grid.load(grid.folder) == whole  # the jobs that are submitted read it
        meanwhile()
        raise UserError("no")


def test_a_refused_submission_leaves_the_grid_as_it_was(tmp_path):
    for earlier in ((), (point(1, "a"),)):
        if earlier:
            Grid(tmp_path, earlier).save()
        before = (tmp_path / GRID_FILE).read_text() if earlier else None
        with pytest.raises(UserError):
            is_refused(Grid(tmp_path, (point(2, "b"), point(3, "c"))), lambda: None)
        assert ((tmp_path / GRID_FILE).read_text() if earlier else None) == before
        assert (tmp_path / GRID_FILE).exists() == bool(earlier)


def test_a_grid_that_others_need_stays_though_a_submission_is_refused(tmp_path):
    first, second = (Grid(tmp_path / name, (point(1, "a"),)) for name in ("first", "second"))
    with pytest.raises(UserError):
        is_refused(first, first.save)  # another process asks for the same point
    with pytest.raises(UserError):
        is_refused(second, lambda: (second.folder / "submissions" / "one").mkdir(parents=True))
    assert [list(Grid.load(grid.folder).runs) for grid in (first, second)] == [["a"], ["a"]]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"points": [{}]}', '{"points": 3}', "null"])
def test_a_broken_grid_is_one_clear_line(tmp_path, text):
    (tmp_path / GRID_FILE).write_text(text)
    with pytest.raises(UserError, match=GRID_FILE) as error:
        Grid.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("schema", [2, 4])
def test_a_grid_of_another_version_is_refused(tmp_path, schema):
    (tmp_path / GRID_FILE).write_text(f'{{"schema": {schema}, "points": []}}')
    with pytest.raises(UserError, match=f"schema {schema}"):
        Grid.load(tmp_path)


def test_states_of_points_that_are_one_run(tmp_path):
    grid = Grid(tmp_path, (point(1, "a"), point(2, "a"), point(3, "b")))
    assert grid.states() == {"a": "missing", "b": "missing"}
    with RunFolder(tmp_path / "a").claim():
        assert grid.states() == {"a": "running", "b": "missing"}
        RunFolder(tmp_path / "a").write_record({})
    assert describe(grid.states()) == "1 done, 1 missing"


@pytest.mark.parametrize(
    ("folder", "scheduled", "state"),
    [
        ("done", "running", "done"),
        ("done", "queued", "done"),
        ("running", "queued", "running"),
        ("missing", "queued", "queued"),
        ("missing", "running", "queued"),
        ("stale", "queued", "queued"),
        ("stale", None, "stale"),
        ("failed", "queued", "queued"),
        ("failed", "running", "failed"),
    ],
)
def test_state_of_a_run_in_slurms_queue(folder, scheduled, state):
    assert _state(folder, scheduled) == state


def test_values_of_a_point():
    assert values_of(["a.b=1", "+c=x=y", "~d"]) == {"a.b": "1", "c": "x=y", "~d": ""}
