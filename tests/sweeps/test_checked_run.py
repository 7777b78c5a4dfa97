"""A command without -m whose config describes a grid says so, and runs one point."""

import pytest
from hydra import compose, initialize_config_dir

from optical_sweeps.sweeps.checked_run import CheckedRun
from optical_sweeps.sweeps.conf_folder import conf_folder
from optical_sweeps.sweeps.run_id_resolver import register_resolvers

SMALL = (
    "data=synthetic", "languages=synthetic", "backbone=tiny", "data.lexicon_size=60", "data.topics=20",
    "data.documents_per_topic=1", "mixture.total=40", "logger=disabled",
)  # fmt: skip
SWEPT = "+hydra.sweeper.params={objective:'optical,none',seed:'1,2,3'}"


@pytest.mark.parametrize(
    ("overrides", "points"),
    [
        ((SWEPT,), 6),
        ((SWEPT, "seed=1"), 2),
        ((SWEPT, "seed=1", "objective=none"), 0),  # the command requests one point
        (("+hydra.sweeper.params={seed:'interval(0,1)'}",), 0),
        ((), 0),
    ],
)
def test_a_run_without_m_names_the_grid_of_its_config(tmp_path, monkeypatch, capsys, overrides, points):
    monkeypatch.chdir(tmp_path)
    register_resolvers()
    with initialize_config_dir(str(conf_folder().resolve()), version_base="1.3"):
        config = compose("train", [*SMALL, *overrides], return_hydra_config=True)
        CheckedRun().on_run_start(config)
    line = f"describes a grid of {points} points; this command runs one of them; add -m for all"
    assert capsys.readouterr().out == (f"hydra.sweeper.params {line}\n" if points else "")
