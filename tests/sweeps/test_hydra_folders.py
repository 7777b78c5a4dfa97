"""Hydra's own settings of folders never separate a sweep's grid, its runs, and what the runs share."""

from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.sweeps import task
from optical_sweeps.sweeps.grid_planning import PlannedGrid, plan_grid
from optical_sweeps.sweeps.hydra_app import hydra_app
from tests.support.command_line import invoke

SMALL = ("data=synthetic", "languages=synthetic", "backbone=tiny", "data.lexicon_size=60", "data.topics=20",
         "data.documents_per_topic=1", "mixture.total=40", "logger=disabled")  # fmt: skip
RECIPE = "# @package _global_\nsweep: {name: together}\n"


def planned(*overrides: str, config_dir: Path | None = None) -> PlannedGrid:
    folder = None if config_dir is None else str(config_dir)
    with hydra_app("train", folder, [*SMALL, *overrides]) as app:
        grid = plan_grid(app.master, app.loader, app.overrides)
        assert app.master.hydra.sweep.dir == str(grid.grid.folder)  # where the launcher looks for the grid
        return grid


def recipes(folder: Path, **extra: str) -> Path:
    (folder / "experiment").mkdir()
    for name, text in extra.items():
        (folder / "experiment" / f"{name}.yaml").write_text(RECIPE + text, encoding="utf-8")
    return folder


def test_two_recipes_in_one_sweep_share_the_folder_of_their_runs(tmp_path):
    folder = recipes(tmp_path, one="seed: 1\n", two="seed: 2\n")
    grid = planned("experiment=one,two", config_dir=folder).grid
    assert grid.folder == Path("multirun/together")
    assert len(grid.runs) == 2


def test_swept_values_of_a_swept_recipe_are_not_lost(tmp_path):
    params = "hydra: {sweeper: {params: {mixture.ratio: '0,1'}}}\n"
    folder = recipes(tmp_path, one=params, two="seed: 2\n")
    with pytest.raises(UserError, match=r"hydra\.sweeper\.params: .*mixture\.ratio.* sweep one at a time"):
        planned("experiment=one,two", config_dir=folder)
    assert len(planned("experiment=one,two", "mixture.ratio=0,1", config_dir=folder).grid.runs) == 4
    assert len(planned("experiment=one", config_dir=folder).grid.runs) == 2


def test_a_sweeps_folder_of_the_users_own_is_refused():
    with pytest.raises(UserError, match=r"hydra\.sweep\.dir: elsewhere, but runs belong into"):
        planned("hydra.sweep.dir=elsewhere")


def test_a_name_of_the_users_own_for_runs_is_refused():
    with pytest.raises(
        UserError, match=r"hydra\.sweep\.subdir: a run's folder is named by its id; leave it out"
    ):
        planned("hydra.sweep.subdir=mine")


@pytest.mark.parametrize(
    "words", [("experiment=one",), ("experiment=one,two",)], ids=["a recipe", "swept recipes"]
)
def test_a_name_for_runs_in_a_recipe_is_refused(tmp_path, words):
    folder = recipes(
        tmp_path, one="hydra: {sweep: {subdir: '${hydra.job.override_dirname}'}}\n", two="seed: 2\n"
    )
    with pytest.raises(UserError, match=r"hydra\.sweep\.subdir: a run's folder is named by its id"):
        planned(*words, config_dir=folder)


def test_a_runs_folder_of_the_users_own_is_refused(tmp_path):
    done = invoke(tmp_path, "train", *SMALL, "hydra.run.dir=elsewhere")
    assert done.code == 1
    assert "hydra.run.dir: elsewhere, but the run belongs into multirun/default/" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_works_in_the_folder_it_was_started_in(tmp_path, monkeypatch):
    """With hydra.job.chdir=true Hydra has entered the run's folder when it calls the task."""
    folders = []
    monkeypatch.setattr(task, "_perform", lambda config: folders.append(Path.cwd()) or 0.0)
    done = invoke(tmp_path, "train", *SMALL, "hydra.job.chdir=true")
    assert (done.code, folders) == (0, [tmp_path])
    assert [path.name for path in tmp_path.iterdir()] == ["multirun"]
