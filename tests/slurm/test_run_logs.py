"""The log of a run that waits in Slurm's queue, with and without --follow."""

import json
from functools import partial
from pathlib import Path

import pytest

from optical_sweeps.commands import sweep_logs
from optical_sweeps.slurm import run_logs
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import PREPARED, SharingGroup, Submission
from optical_sweeps.sweeps.grid import Grid, GridPoint
from tests.support.command_line import printed
from tests.support.slurm_stand_ins import show_queue


@pytest.fixture
def submission(commands: Path, tmp_path: Path) -> Submission:
    sweep = tmp_path / "sweep"
    Grid(sweep, (GridPoint(("seed=1",), "a", "a"),)).save()
    made = submit(sweep, ["a"], SlurmSettings(), [SharingGroup(str(tmp_path / "note.json"), ("a",))])
    assert made
    show_queue(commands, f"2_0|PENDING|Dependency|{made.job_name(made.jobs[1])}")
    return made


def test_a_run_that_waits_for_its_preparation_shows_it_in_both_ways(commands, submission, monkeypatch):
    run = str(submission.sweep / "a")
    preparation, own = submission.log_of(submission.jobs[0], None), submission.log_of(submission.jobs[1], 0)
    preparation.write_text("teacher: training\n")
    pending = "pending: waits for the preparation, job 1\n"
    assert printed("sweep logs", run) == f"{pending}==> {preparation}\nteacher: training\n"
    assert json.loads(printed("sweep logs", run, "--json"))["pending"] == "waits for the preparation, job 1"

    steps = [lambda: own.write_text("task 1\n"), lambda: show_queue(commands)]
    monkeypatch.setattr(sweep_logs, "follow", partial(run_logs.follow, sleep=lambda _: steps.pop(0)()))
    text = printed("sweep logs", run, "--follow")
    assert text == f"{pending}==> {preparation}\nteacher: training\n==> {own}\ntask 1\n"


def test_a_run_that_waits_for_its_turn_says_so_and_one_that_was_cancelled_does_not(commands, submission):
    run = str(submission.sweep / "a")
    (submission.folder / PREPARED).touch()
    assert printed("sweep logs", run) == "pending: waits in the queue, job 2_0\n"
    submission.log_of(submission.jobs[0], None).write_text("built\n")
    show_queue(commands)
    assert printed("sweep logs", run).splitlines()[1:] == ["built"]
