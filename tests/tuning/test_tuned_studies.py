"""Tuned settings that belong to an experiment, conf/tuned_studies/EXPERIMENT/OBJECTIVE.yaml."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from optical_sweeps.cli import conf_folder
from optical_sweeps.curves.statistics.tuning_effort import effort_from
from optical_sweeps.tuning.search_space import SearchSpace
from tests.support.configs import compose

STUDIES = conf_folder() / "tuned_studies"
FILES = sorted(STUDIES.rglob("*.yaml"))
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(STUDIES).as_posix())


def settings_of(path: Path) -> dict[str, object]:
    content = OmegaConf.load(path)
    keys = list(SearchSpace.from_config(path.stem, spaces()).parameters)
    return {key: OmegaConf.select(content, key) for key in keys}


def spaces() -> dict[str, object]:
    return OmegaConf.to_container(compose("tune").search_space, resolve=True)


@each
def test_an_experiment_takes_the_settings_of_its_study(path):
    experiment, objective = path.parent.name, path.stem
    config = compose("train", f"experiment={experiment}", f"objective={objective}")
    settings = settings_of(path)
    assert None not in settings.values()
    assert {key: OmegaConf.select(config, key) for key in settings} == settings
    assert not compose("train", f"objective={objective}").get("tuned")
    by_hand = compose("train", f"experiment={experiment}", f"objective={objective}", "training.learning_rate=7")
    assert by_hand.training.learning_rate == 7


def test_a_new_tuning_of_the_user_replaces_the_settings_of_the_study(tmp_path, monkeypatch):
    (tmp_path / "tuned_settings").mkdir()
    (tmp_path / "tuned_settings" / "optical.yaml").write_text(
        "# @package _global_\ntraining: {learning_rate: 0.5}\ntuned: {study: mine}\n"
    )
    config = compose("train", "experiment=demo", "objective=optical", f"hydra.searchpath=[{tmp_path}]")
    assert (config.training.learning_rate, config.tuned.study) == (0.5, "mine")


def test_the_objectives_of_a_study_were_tuned_with_equal_effort():
    for study in {path.parent for path in FILES}:
        efforts = [effort_from(OmegaConf.load(path).tuned) for path in study.glob("*.yaml")]
        assert (
            len({(len(effort.scores) + effort.failed, effort.pairs, effort.sampler) for effort in efforts}) == 1
        )


def test_every_objective_that_the_demo_sweeps_and_trains_is_tuned():
    swept = compose("train", "experiment=demo", with_hydra=True).hydra.sweeper.params.objective.split(",")
    assert set(swept) - {"none"} <= {path.stem for path in FILES if path.parent.name == "demo"}
