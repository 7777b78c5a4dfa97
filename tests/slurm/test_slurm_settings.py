"""Settings of Slurm: the options they give sbatch, and bad values, refused with their keys."""

import json
from pathlib import Path

import pytest
from hydra.utils import instantiate

from optical_sweeps.errors import UserError
from optical_sweeps.slurm.batch_script import script_text
from optical_sweeps.slurm.slurm_settings import SlurmSettings, seconds_of
from optical_sweeps.sweeps.hydra_app import hydra_app
from optical_sweeps.sweeps.slurm_launch import launcher_settings


def settings_of(*overrides: str) -> SlurmSettings:
    """The settings that the launcher gets from a config."""
    with hydra_app("train", None, overrides) as app:
        return launcher_settings(instantiate(app.master.hydra.launcher)._settings)


@pytest.mark.parametrize("name", ["slurm_cpu", "slurm_gpu", "slurm_ddp"])
def test_shipped_settings_are_valid_and_survive_json(name):
    settings = settings_of(f"hydra/launcher={name}")
    assert settings.code_settings == []
    assert SlurmSettings(**json.loads(json.dumps(settings.resources()))) == settings


def test_ddp_starts_one_process_per_device():
    settings = settings_of("hydra/launcher=slurm_ddp", "machine.devices=4", "machine.nodes=2")
    assert (settings.nodes, settings.tasks_per_node, settings.gpus, settings.processes) == (2, 4, 4, 8)
    assert (settings.for_preparation().processes, settings.for_preparation().gpus) == (1, 1)
    folder = Path("/x")
    assert "launch=(srun " in script_text(settings, folder, 1)
    assert "srun" not in script_text(settings.for_preparation(), folder, 1)


def test_options_of_sbatch():
    settings = settings_of(
        "hydra/launcher=slurm_gpu", "hydra.launcher.account=abc", "hydra.launcher.qos=long",
        "hydra.launcher.time='1-00:00:00'", "hydra.launcher.sbatch=['--exclude=node7']",
        "+hydra.launcher.prepare.time='0:30:00'",
    )  # fmt: skip
    assert settings.options() == [
        "--account=abc", "--qos=long", "--time=1-00:00:00", "--mem=32G", "--gpus-per-node=1", "--nodes=1",
        "--ntasks-per-node=1", "--cpus-per-task=8", "--open-mode=append", "--signal=B:USR1@90", "--requeue",
        "--exclude=node7",
    ]  # fmt: skip
    assert "--time=0:30:00" in settings.for_preparation().options()


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("10", 600), ("10:30", 630), ("2:00:00", 7200), ("1-0", 86400), ("1-2:30", 95400),
        ("0-00:01:40", 100), ("24:00:00", 86400),
    ],
)  # fmt: skip
def test_time_limits_are_read_as_slurm_does(time, seconds):
    assert seconds_of(time) == seconds


def test_tasks_with_short_limits_are_warned_earlier():
    assert SlurmSettings(time="0:01:00").warning == 20
    assert SlurmSettings(time="0:10:00").warning == 90
    assert SlurmSettings().warning == 90


def test_all_memory_of_a_node_is_zero_with_and_without_quotes():
    assert SlurmSettings(mem=0) == SlurmSettings(mem="0")
    assert "--mem=0" in SlurmSettings(mem=0).options()
    with pytest.raises(UserError, match="or 0 for the whole node"):
        SlurmSettings(mem=False)


def test_placement_shows_what_limits_where_a_job_can_run():
    assert SlurmSettings().placement == "partition=default time=null mem=null cpus=1 gpus=null"
    settings = SlurmSettings(
        partition="big", time="1:00:00", mem=0, gpus=2, nodes=2, constraint="new", qos="long"
    )
    assert settings.placement == (
        "partition=big time=1:00:00 mem=0 cpus=1 gpus=2 qos=long constraint=new nodes=2"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"time": 86400}, "hydra.launcher.time: 86400 is not a time limit; write hours in quotes"),
        ({"time": "2h"}, "hydra.launcher.time: '2h' is not a time limit"),
        ({"time": "0:30"}, "less than a minute"),
        ({"mem": 16}, "hydra.launcher.mem: 16 is not a size"),
        ({"cpus": 0}, "hydra.launcher.cpus: 0 is not a whole number of at least 1"),
        ({"points_per_task": True}, "hydra.launcher.points_per_task"),
        ({"account": "a\n#SBATCH --exclusive"}, "hydra.launcher.account"),
        ({"partition": ""}, "hydra.launcher.partition"),
        ({"setup": "module load cuda"}, "hydra.launcher.setup: 'module load cuda' is not a list"),
        ({"sbatch": ["exclude=node7"]}, "is not an option; write it as --exclude=node7"),
        ({"sbatch": ["--array=0-3"]}, "--array=0-3 would override"),
        (
            {"environment": {"OMP_NUM_THREADS": 4}},
            "hydra.launcher.environment.OMP_NUM_THREADS: 4 is not a string",
        ),
        ({"environment": {"A B": "c"}}, "'A B' is not the name of a variable"),
        ({"prepare": {"nodes": 2}}, "hydra.launcher.prepare.nodes: not allowed here"),
        ({"prepare": {"time": "never"}}, "hydra.launcher.prepare.time: 'never' is not a time limit"),
        ({"wait": "no"}, "hydra.launcher.wait"),
        ({"poll_seconds": 0}, "hydra.launcher.poll_seconds"),
        ({"patition": "gpu"}, "hydra.launcher.patition: no such key; the keys are account, partition,"),
    ],
)
def test_bad_values_are_refused_with_their_keys(given, message):
    with pytest.raises(UserError) as caught:
        SlurmSettings(**given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
