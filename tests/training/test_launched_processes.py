"""Rank, world and meeting point from the variables that launchers and cluster operators set."""

import os

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.training.ranks import _environment

LAUNCHER = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "gpu01", "MASTER_PORT": "29500"}
SLURM = {
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "gpu[01-02]",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    clean = {k: v for k, v in os.environ.items() if k not in LAUNCHER and not k.startswith("SLURM_")}
    monkeypatch.setattr(os, "environ", clean)
    return clean


def test_alone_without_a_launcher():
    assert _environment() == (0, 1, 0)


@pytest.mark.parametrize(
    "missing", [(), ("LOCAL_RANK",), ("MASTER_ADDR",), ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")]
)
def test_slurm_completes_what_an_operator_left_out(environment, missing):
    environment.update(SLURM)
    environment.update({name: value for name, value in LAUNCHER.items() if name not in missing})
    assert _environment() == (3, 4, 1)
    assert environment["MASTER_ADDR"] == "gpu01"
    assert environment["MASTER_PORT"] == ("22700" if "MASTER_PORT" in missing else "29500")


def test_a_job_step_alone_is_enough(environment):
    environment.update(SLURM)
    assert _environment() == (3, 4, 1)
    assert (environment["MASTER_ADDR"], environment["MASTER_PORT"]) == ("gpu01", "22700")


@pytest.mark.parametrize("missing", ["LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_cannot_be_derived_is_named_in_one_line(environment, missing, value):
    environment.update(LAUNCHER)
    del environment[missing]
    if value is not None:
        environment[missing] = value
    with pytest.raises(
        UserError, match=f"^environment variable {missing} is not set.*use srun or torchrun"
    ) as raised:
        _environment()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"])
def test_a_value_that_is_no_number_is_named(environment, name):
    environment.update({**LAUNCHER, name: "two"})
    with pytest.raises(UserError, match=f"^environment variable {name}='two' is not a number"):
        _environment()


@pytest.mark.parametrize("missing", ["SLURM_PROCID", "SLURM_LOCALID"])
def test_a_job_step_with_a_part_missing_is_refused(environment, missing):
    environment.update(SLURM)
    del environment[missing]
    with pytest.raises(UserError, match=missing):
        _environment()


def test_a_node_list_that_is_none_is_refused(environment):
    environment.update({**SLURM, "SLURM_STEP_NODELIST": "[01-02]"})
    with pytest.raises(UserError, match="not a list of nodes"):
        _environment()
