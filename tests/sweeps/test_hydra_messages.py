"""Errors of Hydra in one line: mistyped keys and options, and folders of configs that are not named."""

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.hydra_app import hydra_app
from tests.support.command_line import invoke
from tests.support.user_errors import failure


def refusal_of(*overrides: str) -> str:
    """The line with which overrides are refused."""
    return failure(lambda: hydra_app(overrides=overrides).__enter__())


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("training.lr", "training.learning_rate"),
        ("training.learning_rat", "training.learning_rate"),
        ("learning_rate", "training.learning_rate or teacher.training.learning_rate"),
        ("projekt", "logger.project"),
        ("objectiv", "objective"),
        ("paths.sweep", "paths.sweeps"),
        ("sweep.nme", "sweep.name"),
        ("training.code_switchin.side", "training.code_switching"),
        ("evaluation/search", "evaluation.search"),
    ],
)
def test_a_mistyped_key_names_the_key_that_was_meant(key, meant):
    message = refusal_of(f"{key}=1")
    assert ": no such key; the keys are " in message
    assert message.endswith(f"; did you mean {meant}?")
    assert "+" not in message


def test_the_keys_of_a_section_include_those_that_its_config_leaves_out():
    message = refusal_of("hydra/launcher=slurm_cpu", "hydra.launcher.tme=3")
    assert message.startswith("hydra.launcher.tme: no such key; the keys are account, ")
    assert message.endswith("; did you mean hydra.launcher.time?")


@pytest.mark.parametrize("key", ["hydra.launcher.no_such", "hydra.run.no_such", "a.b.c"])
def test_a_key_that_resembles_no_other_suggests_none(key):
    message = refusal_of(f"{key}=1")
    assert ": no such key" in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    "words",
    [
        ("hydra/launcher=slurm_cpu", "hydra.launcher.prepare.time=3"),
        ("hydra.job.env_set.X=1",),
        ("run_type=my_package.MyRun", "my_key=1"),
    ],
)
def test_plus_is_advised_where_any_key_can_be_added(words):
    assert refusal_of(*words).endswith(f"To append to your config use +{words[-1]}")


def test_a_key_added_with_plus_is_refused_with_the_same_suggestion(tmp_path):
    done = invoke(tmp_path, "train", "+training.lr=1")
    assert done.err.startswith("error: training.lr: no such key; the keys are batch_size, ")
    assert done.err.endswith("; did you mean training.learning_rate?\n")


@pytest.mark.parametrize(
    ("word", "end"),
    [
        ("objective=optcial", "score_kl, triplet; did you mean optical?"),
        ("hydra/launcher=slurm_cp", "submitit_slurm; did you mean slurm_cpu?"),
        ("data=no_such", "wikiclir, xor_tydi"),
    ],
)
def test_a_mistyped_option_lists_the_options(word, end):
    message = refusal_of(word)
    assert message.startswith(f"{word}: no such option; the options are ")
    assert message.endswith(end)
    assert "provider" not in message


def test_a_mistyped_option_in_a_config_is_refused_alike(tmp_path):
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    file.write_text("# @package _global_\ndefaults:\n  - override /data: emojii\n")
    with pytest.raises(UserError) as error, hydra_app("train", str(tmp_path), ["experiment=mine"]):
        pass
    assert str(error.value).startswith("data=emojii: no such option; the options are ")
    assert str(error.value).endswith("; did you mean emoji?")


def test_a_config_in_a_folder_here_names_the_missing_flag(tmp_path):
    file = tmp_path / "my_conf" / "experiment" / "bazaar.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\n")
    (tmp_path / "my_conf" / "root.yaml").write_text("")
    expected = "error: experiment=bazaar: no such option; add --config-dir my_conf, which has it\n"
    for command in (("train",), ("train", "-m"), ("sweep", "plan")):
        assert invoke(tmp_path, *command, "experiment=bazaar").err == expected
    done = invoke(tmp_path, "train", "--config-name", "root")
    assert done.err == "error: --config-name root: no such config; add --config-dir my_conf, which has it\n"


@pytest.mark.parametrize("command", [("train",), ("sweep", "plan")])
def test_a_folder_of_configs_that_is_missing(command, tmp_path):
    done = invoke(tmp_path, *command, "--config-dir", "my_conf")
    assert done.err == f"error: --config-dir my_conf: no such folder in {tmp_path}\n"
    assert invoke(tmp_path, *command, "-cd", "/no/such").err == "error: --config-dir /no/such: no such folder\n"
