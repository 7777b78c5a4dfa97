"""`sweep cancel` and preparations: one that no run in the queue needs is cancelled too."""

import json
from pathlib import Path

import pytest

from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import SharingGroup, Submission
from optical_sweeps.sweeps import slurm_worker
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.trusted_grid import Trust
from tests.support.command_line import printed
from tests.support.slurm_stand_ins import show_queue

RUNS = ("a", "b")


@pytest.fixture
def submission(commands: Path, tmp_path: Path) -> Submission:
    """One submission of two runs that need different preparations: jobs 1 and 2."""
    sweep = tmp_path / "sweep"
    Grid(sweep, tuple(GridPoint((f"run={run}",), run, run) for run in RUNS)).save()
    groups = [SharingGroup(str(tmp_path / f"{run}.json"), (run,)) for run in RUNS]
    made = submit(sweep, RUNS, SlurmSettings(), groups)
    assert made
    return made


def queue(submission: Submission, preparation: str = "RUNNING", *tasks: int) -> list[str]:
    prepare, array = submission.jobs
    waiting = [f"2_{task}|PENDING|Dependency|{submission.job_name(array)}" for task in tasks]
    return [*waiting, f"1|{preparation}|None|{submission.job_name(prepare)}"]


@pytest.mark.parametrize("order", [1, -1])
def test_the_preparation_goes_with_its_last_run_in_every_order_of_the_queue(commands, submission, order):
    show_queue(commands, *queue(submission, "RUNNING", 0, 1)[::order])
    text = printed("sweep cancel", str(submission.sweep))
    assert "preparation cancelled: Slurm job 1, which no run in the queue needs any more" in text
    (line,) = (commands / "cancelled").read_text().splitlines()
    assert sorted(line.split()) == ["--quiet", "1", "2_0", "2_1"]
    show_queue(commands, *queue(submission, "COMPLETING"))
    assert printed("sweep cancel", str(submission.sweep)).startswith("nothing to cancel")
    assert json.loads(printed("sweep status", str(submission.sweep), "--json"))["problems"] == []


def test_the_preparation_stays_while_a_run_waits_for_it(commands, submission, monkeypatch):
    show_queue(commands, *queue(submission, "RUNNING", 0, 1))
    facts = json.loads(printed("sweep cancel", str(submission.sweep), "--run=a", "--json"))
    assert (facts["tasks"], facts["preparations"], facts["runs"]) == (["2_0"], [], ["a"])
    built = []
    monkeypatch.setattr(slurm_worker, "prepare_group", lambda grid, group, _: built.append(group.runs))
    assert slurm_worker.work(submission, None, Trust()) == 0
    assert built == [("b",)]  # nothing is built for the cancelled run alone


def test_status_mentions_a_preparation_that_runs_alone_and_cancel_ends_it(commands, submission):
    for run in RUNS:
        submission.cancel_run(run)
    show_queue(commands, *queue(submission))
    text = printed("sweep status", str(submission.sweep))
    assert "preparation running: Slurm job 1, which no run in the queue needs" in text
    assert "preparation cancelled: Slurm job 1" in printed("sweep cancel", str(submission.sweep))
    assert (commands / "cancelled").read_text().split() == ["--quiet", "1"]
