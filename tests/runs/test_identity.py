"""A run's identity, on the real composed config with any of its leaves changed."""

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optical_sweeps.cli import conf_folder
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.run import run_id
from optical_sweeps.runs.spec.identity import NEUTRAL_KEYS, numeric_facts
from tests.support.configs import compose

PRINTS = {"corpus": "c0ffee", "backbone": "decade"}
NEUTRAL_GROUPS = ("paths", "logger", "machine", "sweep", "run_type", "allow_foreign_classes")
BY_CONTENT = ("data", "backbone")
OF_TRAINING = ("mixture", "training", "seed")
json_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


def composed(*overrides: str) -> dict[str, Any]:
    return resolved(compose("train", *overrides))


CONFIG = composed()


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


LEAVES = sorted(leaves(CONFIG))
NEUTRAL = [key for key in LEAVES if key.split(".")[0] in NEUTRAL_GROUPS or key in NEUTRAL_KEYS]
COUNTED = [
    key
    for key in LEAVES
    if key not in NEUTRAL and key.split(".")[0] not in (*BY_CONTENT, "experiment", "languages")
]


def changed(config: Mapping[str, Any], key: str, value: object) -> dict[str, Any]:
    result = copy.deepcopy(dict(config))
    *parents, last = key.split(".")
    inner = result
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return result


LOADED = (
    ("colbert", "teacher.path"),
    ("triples", "teacher.triples.path"),
    ("docpairs", "teacher.triples.cache"),
)


def value_at(config: Mapping[str, Any], key: str) -> Any:
    inner: Any = config
    for part in key.split("."):
        inner = inner[part]
    return inner


def identity(config: Mapping[str, Any], trains: bool = True, **prints: str) -> str:
    return run_id(numeric_facts(config, fingerprints={**PRINTS, **prints}, trains=trains))


def shuffled(value: Any, order: random.Random) -> Any:
    if not isinstance(value, Mapping):
        return value
    keys = list(value)
    order.shuffle(keys)
    return {key: shuffled(value[key], order) for key in keys}


def test_neutral_keys_are_keys():
    """A misspelt or renamed key would count unnoticed."""
    solvers = [path.stem for path in (conf_folder() / "transport").glob("*.yaml")]
    configs = [composed(f"transport@objective.solver={solver}") for solver in solvers]
    of_words = "transport@training.code_switching.alignment.solver"
    configs += [composed("training=code_switched", f"{of_words}={name}") for name in ("exact", "partial")]
    configs += [composed(f"teacher={name}", f"{key}=there") for name, key in LOADED]
    for search in ("evaluation.search", "evaluation.dev_search"):
        configs += [composed(f"search@{search}={name}") for name in ("exact", "pruned")]
        solver = f"transport@{search}.alignment.solver"
        configs += [composed(f"search@{search}=rerank", f"{solver}={name}") for name in ("exact", "partial")]
    assert set(NEUTRAL_KEYS) <= {key for config in configs for key in leaves(config)}


def test_a_fingerprint_never_replaces_a_setting():
    with pytest.raises(ValueError, match="teacher"):
        identity(CONFIG, teacher="c0ffee")


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_count(order):
    assert identity(shuffled(CONFIG, order)) == identity(CONFIG)


@given(st.sampled_from(NEUTRAL), json_leaves, st.booleans())
def test_neutral_settings_do_not_change_the_id(key, value, trains):
    assert identity(changed(CONFIG, key, value), trains) == identity(CONFIG, trains)


@pytest.mark.parametrize(
    ("key", "value", "counts"),
    [("solver.threads", 4, False), ("cost", "euclidean", True), ("solver.eps", 0.5, True)],
)
def test_a_part_of_a_combination_counts_as_it_does_alone(key, value, counts):
    config = composed("objective=combination")
    other = changed(config, f"objective.objectives.optical.{key}", value)
    assert (identity(other) != identity(config)) == counts


@pytest.mark.parametrize("group", NEUTRAL_GROUPS)
@given(value=st.dictionaries(st.text(max_size=8), json_leaves, max_size=3))
def test_new_keys_in_neutral_groups_do_not_change_the_id(group, value):
    assert identity({**CONFIG, group: value}) == identity(CONFIG)


@pytest.mark.parametrize("key", COUNTED)
@given(value=json_leaves)
def test_every_other_leaf_counts(key, value):
    assume(value != value_at(CONFIG, key))
    assert identity(changed(CONFIG, key, value)) != identity(CONFIG)


IN_EVERY_RUN = {
    "encoder.dim": 7,
    "encoder.document_length": 7,
    "encoder.document_prefix": "x",
    "encoder.query_augmentation": True,
    "encoder.query_length": 7,
    "encoder.query_prefix": "x",
    "encoder.seed": 7,
    "encoder.skip_punctuation": False,
    "encoder.use_prefix_tokens": True,
    "encoder.use_special_tokens": True,
    "evaluation.depth": 7,
    "evaluation.measures": ["RR@3"],
    "index.dtype": "int8",
    "index.encode_dtype": "bfloat16",
    "objective._target_": "x",
    "teacher.seed": 7,
}
IN_TRAINED_RUNS = {
    "mixture._target_": "x",
    "mixture.max_repeats": 7,
    "mixture.ratio": 0.7,
    "mixture.seed": 7,
    "mixture.temperature": 7.0,
    "mixture.total": 7,
    "mixture.weighting": "x",
    "seed": 7,
    "training.batch_size": 7,
    "training.batch_tokens": 7,
    "training.code_switching": {"share": 0.5},
    "training.epochs": 7,
    "training.freeze_embeddings": False,
    "training.freeze_layers": 7,
    "training.gradient_clip": 7.0,
    "training.keep": "x",
    "training.learning_rate": 7.0,
    "training.mined_documents": 7,
    "training.teacher": "online",
    "training.teacher_precision": "float16",
    "training.patience": 7,
    "training.precision": "bf16-mixed",
    "training.validate_every": 7,
    "training.warmup_fraction": 0.7,
    "training.weight_decay": 0.7,
}
IN_NO_RUN = {
    "evaluation.memory_budget_mb": 7,
    "index.shard_documents": 7,
    "objective.dim": 7,
    "objective.solver.threads": 7,
    "training.log_every": 7,
    "machine.threads": 7,
    "paths.artifacts": "x",
}


def with_all(settings: Mapping[str, object]) -> dict[str, Any]:
    config = CONFIG
    for key, value in settings.items():
        assert value_at(config, key) != value
        config = changed(config, key, value)
    return config


def test_the_settings_that_count_by_hand():
    """Written by hand, because lists that the code exports cannot show what is missing from them."""
    for key, value in {**IN_EVERY_RUN, **IN_TRAINED_RUNS}.items():
        assert identity(with_all({key: value})) != identity(CONFIG), key
        assert (identity(with_all({key: value}), False) != identity(CONFIG, False)) == (key in IN_EVERY_RUN), (
            key
        )
    assert identity(with_all(IN_NO_RUN)) == identity(CONFIG)
    assert identity(with_all(IN_NO_RUN), False) == identity(CONFIG, False)


@pytest.mark.parametrize("section", ["mixture", "training"])
def test_every_setting_of_a_training_is_in_a_list_by_hand(section):
    by_hand = {*IN_TRAINED_RUNS, *IN_NO_RUN}
    assert {key for key in LEAVES if key.startswith(f"{section}.")} <= {*by_hand, "training._target_"}


@pytest.mark.parametrize("trains", [True, False])
def test_languages_count_by_group_and_not_by_order(trains):
    def of(high: list[str], low: list[str]) -> str:
        return identity({**CONFIG, "languages": {"high": high, "low": low}}, trains)

    assert of(["de", "fr"], ["ar", "fa"]) == of(["fr", "de"], ["fa", "ar"])
    assert (
        len({of(["de"], ["ar", "fa"]), of(["de", "ar"], ["fa"]), of(["ar"], ["de", "fa"]), of(["de"], ["ar"])})
        == 4
    )


@given(st.integers(-(2**50), 2**50))
def test_a_whole_number_is_the_same_with_a_point(number):
    whole, point = changed(CONFIG, "seed", number), changed(CONFIG, "seed", float(number))
    assert identity(whole) == identity(point)


@pytest.mark.parametrize("group", sorted({key.split(".")[0] for key in COUNTED} - {"seed"}))
def test_a_new_key_of_a_counted_group_counts(group):
    assert identity({**CONFIG, group: {**CONFIG[group], "new": 1}}) != identity(CONFIG)


@given(st.sampled_from([key for key in LEAVES if key.split(".")[0] in BY_CONTENT]), json_leaves)
def test_data_and_backbone_count_by_content_not_by_path(key, value):
    assert identity(changed(CONFIG, key, value)) == identity(CONFIG)


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("part", sorted(PRINTS))
def test_other_content_is_another_run(part, trains):
    assert identity(CONFIG, trains, **{part: "other"}) != identity(CONFIG, trains)


@given(st.sampled_from([key for key in LEAVES if key.split(".")[0] in OF_TRAINING]), json_leaves)
def test_runs_that_train_nothing_ignore_how_they_would(key, value):
    assert identity(changed(CONFIG, key, value), trains=False) == identity(CONFIG, trains=False)


@pytest.mark.parametrize("key", [key for key in COUNTED if key.split(".")[0] not in OF_TRAINING])
def test_runs_that_train_nothing_still_depend_on_the_rest(key):
    other = changed(CONFIG, key, "something else")
    assert identity(other, trains=False) != identity(CONFIG, trains=False)


def test_the_hash_is_pinned():
    """Finished runs are found by this hash; raise IDENTITY_SCHEMA only if numbers change."""
    facts = {"seed": 1, "objective": {"epsilon": 0.05, "name": "optical"}, "languages": {"low": ["fa", "日本"]}}
    assert run_id(facts) == "0d91c5de33c5"
    assert len(run_id({})) == 12
