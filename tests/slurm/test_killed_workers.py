"""A run whose worker is killed leaves its task's queue at once, and comes back if Slurm requeues the task."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import Submission
from optical_sweeps.sweeps.grid import Grid, GridPoint
from tests.support.quick_sweep import QUICK_WORKER
from tests.support.slurm_stand_ins import show_queue


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter whose runs take no time: each does what its point says."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{QUICK_WORKER}" "$@"\n')
    path.chmod(0o755)
    return path


def submitted(sweep: Path, python: Path, does: dict[str, str], size: int) -> Submission:
    points = (GridPoint((f"run={run}", f"does={what}"), run, f"{run} {what}") for run, what in does.items())
    Grid(sweep, tuple(points)).save()
    submission = submit(sweep, list(does), SlurmSettings(python=str(python), points_per_task=size), [])
    assert submission
    return submission


def start_task(submission: Submission, restarts: int = 0) -> str:
    """Run the submission's script as Slurm does for task 0; returns its log."""
    variables = {"SLURM_JOB_ID": "1", "SLURM_ARRAY_TASK_ID": "0", "SLURM_RESTART_COUNT": str(restarts)}
    done = subprocess.run(
        ["bash", str(submission.script), "0"],
        env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


def test_a_killed_run_is_stale_while_its_task_goes_on_and_queued_when_it_is_requeued(
    commands, python, tmp_path
):
    sweep = tmp_path / "sweep"
    submission = submitted(sweep, python, {"a": "die", "b": "ok", "c": "die"}, 3)
    name = submission.job_name(submission.jobs[0])
    show_queue(commands, f"1_0|RUNNING|None|{name}")
    assert Grid.load(sweep).states() == dict.fromkeys("abc", "queued")

    log = start_task(submission)
    lines = [line for line in log.splitlines() if "often for lack of memory" in line]
    assert [line.split()[1] for line in lines] == ["a", "c"], log
    assert all("larger hydra.launcher.mem" in line for line in lines)
    assert Grid.load(sweep).states() == {"a": "stale", "b": "done", "c": "stale"}  # the task is still there

    show_queue(commands, f"1_0|PENDING|BeginTime|{name}")  # requeued: it performs its pack again
    assert Grid.load(sweep).states() == {"a": "queued", "b": "done", "c": "queued"}
    start_task(submission, restarts=1)
    assert [len((sweep / run / "began").read_text().splitlines()) for run in "abc"] == [2, 1, 2]

    show_queue(commands, f"1_0|RUNNING|None|{name}")
    again = submit(sweep, ["a", "c"], submission.settings, [])
    assert again
    assert again.runs == ("a", "c")


def test_the_script_forgets_what_the_task_had_left_before_the_users_setup(commands, tmp_path):
    sweep = tmp_path / "sweep"
    setup = (f"ls {sweep}/submissions/*/left; exit 1",)
    submission = submit(sweep, ["a", "b"], SlurmSettings(setup=setup), [])
    assert submission
    submission.leave("a", 0)
    submission.leave("b", 1)
    assert start_task(submission).split() == ["1"]
    assert (submission.left_runs(0), submission.left_runs(1)) == (frozenset(), {"b"})


def test_a_killed_preparation_is_not_repeated(commands, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/bash\necho started\nkill -9 $$\n")
    python.chmod(0o755)
    submission = submit(
        tmp_path / "sweep", ["a", "b"], SlurmSettings(python=str(python), points_per_task=2), []
    )
    assert submission
    done = subprocess.run(["bash", str(submission.script), "prepare"], capture_output=True, text=True)
    assert done.returncode == 137
    assert done.stdout.count("started") == 1
    assert "larger hydra.launcher.prepare.mem" in done.stdout
