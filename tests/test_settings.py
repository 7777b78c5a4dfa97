"""Objects built from configs: the same as Hydra builds, with errors that name the key."""

from collections.abc import Iterator

import pytest
from hydra.utils import instantiate

from optical_sweeps.errors import UserError
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.settings import build, build_as
from optical_sweeps.sweeps.hydra_app import HydraApp, hydra_app
from optical_sweeps.training.machine import Machine

FIXED = {"_target_": "optical_sweeps.corpora.mixture.FixedTotal", "total": 8, "ratio": 0.5}


@pytest.fixture(scope="module")
def app() -> Iterator[HydraApp]:
    with hydra_app() as started:
        yield started


@pytest.mark.parametrize("solver", ["sinkhorn", "ipot", "exact", "unbalanced", "partial"])
def test_hydra_builds_the_same_objects(app: HydraApp, solver):
    config = resolved(app.loader.load_sweep_config(app.master, [f"transport@objective.solver={solver}"]))
    for name in ("objective", "mixture", "training", "teacher", "encoder", "machine", "backbone"):
        mine, hydras = build(name, config[name]), instantiate(config[name], _convert_="all")
        assert type(mine) is type(hydras)
        assert repr(vars(mine)).split(" object at ")[0] == repr(vars(hydras)).split(" object at ")[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**FIXED, "ratio": 2}, "mixture.ratio: 2"),
        ({**FIXED, "ration": 2}, r"mixture\.ration: no such key; the keys are"),
        (
            {"_target_": "optical_sweeps.nowhere.Thing"},
            r"mixture\._target_: .*no class optical_sweeps\.nowhere\.Thing",
        ),
        (
            {"_target_": "optical_sweeps.settings.build"},
            r"mixture\._target_: .*no class optical_sweeps\.settings\.build",
        ),
        ({"_target_": "nothing"}, r"mixture\._target_: nothing is not a settings class"),
        ({**FIXED, "_partial_": True}, "mixture._partial_: Hydra's special keys are not supported"),
        ({"total": 1}, "mixture._target_: no value"),
    ],
)
def test_errors_name_the_key(settings, message):
    with pytest.raises(UserError, match=message) as error:
        build("mixture", settings)
    assert "\n" not in str(error.value)


def test_an_object_of_another_type_is_refused():
    with pytest.raises(UserError, match=r"mixture\._target_: FixedTotal is not a Machine"):
        build_as("mixture", FIXED, Machine)


def test_an_object_does_not_share_the_lists_of_its_config():
    settings = {
        "_target_": "optical_sweeps.evaluation.evaluation_settings.EvaluationSettings",
        "measures": ["nDCG@10"],
        "depth": 10,
        "encode_batch_size": 1,
        "memory_budget_mb": 1,
    }
    built = build("evaluation", settings)
    settings["measures"].append("MRR@10")
    assert len(built.measures) == 1
