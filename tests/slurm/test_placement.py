"""Messages about jobs that Slurm refuses or never starts name the requested settings and the remedy."""

from pathlib import Path

import pytest

from optical_sweeps.slurm.slurm_commands import SlurmError
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import SharingGroup, submissions_of
from optical_sweeps.slurm.submission_queue import problems
from tests.support.slurm_stand_ins import show_queue, stand_in

SETTINGS = SlurmSettings(mem="16G", cpus=4, prepare={"mem": "64G"})
ASKED = "requested: partition=default time=null mem=16G cpus=4 gpus=null"


def refusal(commands: Path, tmp_path: Path, reason: str, groups: tuple[SharingGroup, ...] = ()) -> str:
    stand_in(commands, "sbatch", f"echo 'sbatch: error: {reason}' >&2; exit 1")
    with pytest.raises(SlurmError) as caught:
        submit(tmp_path / "sweep", ["a"], SETTINGS, groups)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_refusal_names_the_settings_and_how_to_change_them(commands, tmp_path):
    text = refusal(commands, tmp_path, "Memory specification can not be satisfied")
    assert f"can not be satisfied; {ASKED}; compare with `sinfo" in text
    assert "change hydra.launcher.KEY=" in text


def test_a_refused_preparation_shows_its_own_settings(commands, tmp_path):
    group = SharingGroup(str(tmp_path / "note.json"), ("a",))
    text = refusal(commands, tmp_path, "Requested node configuration is not available", (group,))
    assert "requested for the preparation: partition=default time=null mem=64G cpus=4" in text
    assert "change ++hydra.launcher.prepare.KEY=" in text


@pytest.mark.parametrize("reason", ["unrecognized option --no-such-option", "job submit limit reached"])
def test_other_refusals_do_not_list_them(commands, tmp_path, reason):
    assert "requested" not in refusal(commands, tmp_path, reason)


def test_tasks_that_never_start_name_the_settings_and_the_steps(commands, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = tmp_path / "sweep"
    assert submit(sweep, ["a", "b"], SETTINGS, [])
    (submission,) = submissions_of(sweep)
    name = submission.job_name(submission.jobs[0])
    show_queue(commands, f"1_[0-1]|PENDING|PartitionConfig|{name}")
    (line,) = problems(sweep)
    assert line.startswith(
        f"2 of Slurm job 1's tasks will never start (PartitionConfig): {ASKED}; compare with"
    )
    assert line.endswith("then optical-sweeps sweep cancel sweep, and submit again")
    show_queue(commands, f"1_0|PENDING|JobHeldUser|{name}")
    assert problems(sweep)[0].endswith("(JobHeldUser): start them with scontrol release 1")
