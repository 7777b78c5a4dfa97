"""Search spaces: their configs, and what they refuse."""

import pytest
from omegaconf import OmegaConf

from optical_sweeps.cli import conf_folder
from optical_sweeps.errors import UserError
from optical_sweeps.tuning.search_space import Choice, Interval, SearchSpace, nested_values, override
from optical_sweeps.tuning.tuning_settings import TuningSettings
from tests.support.configs import compose

SPACES = sorted(path.stem for path in (conf_folder() / "search_space").glob("*.yaml"))


def plain(config):
    return OmegaConf.to_container(config, resolve=True)


def test_every_objective_that_trains_has_a_space():
    objectives = {path.stem for path in (conf_folder() / "objective").glob("*.yaml")} - {"none"}
    assert set(SPACES) == objectives
    assert set(compose("tune").search_space) == objectives


@pytest.mark.parametrize("name", SPACES)
def test_every_space_varies_keys_of_its_objective(name):
    space = SearchSpace.from_config(name, plain(compose("tune").search_space))
    assert "training.learning_rate" in space.parameters
    assert space.distributions().keys() == space.parameters.keys()
    config = compose("train", f"objective={name}")
    for key in space.parameters:
        assert OmegaConf.select(config, key) is not None, key


def test_a_space_is_nested_and_holds_intervals_and_choices():
    space = {
        "training": {"learning_rate": {"low": 1e-4, "high": 1, "log": True}},
        "objective": {"rank": {"values": [1]}},
    }
    parameters = SearchSpace.from_config("mine", {"mine": space}).parameters
    assert parameters["training.learning_rate"] == Interval(1e-4, 1.0, log=True)
    assert parameters["objective.rank"] == Choice([1])


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, r"search_space\.mine: no search space; add conf/search_space/mine\.yaml"),
        ({"training": {"epochs": {"values": [1]}}}, r"training\.epochs: trials may only vary"),
        ({"mixture": {"total": {"values": [1]}}}, r"mixture\.total: trials may only vary"),
        ({"objective": {"temperature": 3}}, r"search_space\.mine\.objective\.temperature: 3 is no range"),
        ({"objective": {"margin": {"low": 2, "high": 1}}}, r"low is 2, but high is 1"),
        ({"objective": {"margin": {"low": 0, "high": 1, "log": True}}}, r"log=true needs a number above 0"),
        ({"objective": {"margin": {"low": 0}}}, r"search_space\.mine\.objective\.margin\.high: no value"),
        ({"objective": {"margin": {"values": []}}}, r"values is empty"),
    ],
)  # fmt: skip
def test_bad_spaces_name_their_key(space, message):
    with pytest.raises(UserError, match=message):
        SearchSpace.from_config("mine", {"mine": space})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objectives": []}, r"tuning\.objectives: empty"),
        ({"objectives": ["none"]}, r"tuning\.objectives: none trains nothing"),
        ({"objectives": ["mse"], "trials": 0}, r"tuning\.trials: 0"),
        ({"objectives": ["mse"], "sampler": "grid"}, r"tuning\.sampler: 'grid' is not one of random, tpe"),
    ],
)
def test_bad_settings_name_their_key(values, message):
    with pytest.raises(UserError, match=message):
        TuningSettings(**values)


def test_values_become_overrides_and_configs():
    assert override("objective.centre", "both") == "objective.centre=both"
    assert nested_values({"a.b": 1, "a.c": 2}) == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize(
    ("experiment", "overrides"),
    [
        ("debian", ("data.root=x",)),
        ("demo", ()),
        ("miracl_ratio", ("backbone=mbert",)),
        ("optical_paper", ()),
        ("tydiqa_robustness", ()),
    ],
)
def test_the_tuning_of_a_recipe_covers_what_it_sweeps_and_its_learning_rate(experiment, overrides):
    config = compose("tune", f"experiment={experiment}", *overrides)
    tuned = TuningSettings(**plain(config.tuning)).objectives
    swept = compose("train", f"experiment={experiment}", *overrides, with_hydra=True).hydra.sweeper.params
    if swept is not None and "objective" in swept:
        assert set(tuned) == set(swept.objective.split(",")) - {"none"}
    for objective in tuned:
        rates = SearchSpace.from_config(objective, plain(config.search_space)).parameters[
            "training.learning_rate"
        ]
        assert isinstance(rates, Interval)
        assert rates.log
        assert rates.low <= config.training.learning_rate <= rates.high
