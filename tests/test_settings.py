"""Objects built from configs: classes of this package directly, others by Hydra, with the same result."""

from collections.abc import Iterator

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.settings import _instantiated, _is_ours, build
from optical_sweeps.sweeps.hydra_app import HydraApp, hydra_app

FIXED = {"_target_": "optical_sweeps.corpora.mixture.FixedTotal", "total": 8, "ratio": 0.5}


@pytest.fixture(scope="module")
def app() -> Iterator[HydraApp]:
    with hydra_app() as started:
        yield started


@pytest.mark.parametrize("solver", ["sinkhorn", "ipot", "exact", "unbalanced", "partial"])
def test_hydra_builds_the_same_objects(app: HydraApp, solver):
    config = resolved(app.loader.load_sweep_config(app.master, [f"transport@objective.solver={solver}"]))
    for name in ("objective", "mixture", "training", "teacher", "encoder", "machine", "backbone"):
        assert _is_ours(config[name]), name
        mine, hydras = build(name, config[name]), _instantiated(config[name])
        assert type(mine) is type(hydras)
        assert repr(vars(mine)).split(" object at ")[0] == repr(vars(hydras)).split(" object at ")[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"_target_": "collections.OrderedDict"},
        {**FIXED, "_partial_": True},
        {**FIXED, "seed": {"_target_": "builtins.int"}},
        {**FIXED, "weighting": "${x}"},
        {"_target_": "optical_sweeps.nowhere.Thing"},
        {"total": 1},
    ],
)
def test_configs_with_other_classes_are_left_to_hydra(settings):
    assert not _is_ours(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**FIXED, "ratio": 2}, "mixture.ratio: 2"),
        ({**FIXED, "ration": 2}, r"mixture\.ration: no such key; the keys are"),
        ({"_target_": "optical_sweeps.nowhere.Thing"}, "mixture: .*optical_sweeps.nowhere"),
    ],
)
def test_errors_name_the_key(settings, message):
    with pytest.raises(UserError, match=message) as error:
        build("mixture", settings)
    assert "\n" not in str(error.value)


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
