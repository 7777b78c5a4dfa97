"""Runs in the queue keep their settings, and the line about them says so if the new ones differ."""

import pytest

from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
from optical_sweeps.slurm.submission_plan import submissions_of
from tests.support.slurm_stand_ins import show_queue

BEFORE = {"mem": "1G", "setup": ["module load a"], "requeues": 3, "poll_seconds": 5}


@pytest.mark.parametrize(
    ("now", "named"),
    [
        ({}, None),
        ({"poll_seconds": 9, "points_per_task": 2, "wait": False}, None),  # nothing of a job
        ({"mem": "2G", "time": "1:00:00"}, "time, mem"),
        ({"requeues": 4}, "requeues"),
        ({"setup": ["module load b"]}, "setup"),
        ({"setup": []}, "setup"),
        ({"sbatch": ["--exclude=node7"]}, "sbatch"),
        ({"mem": "2G", "prefix": "apptainer"}, "mem, prefix"),
    ],
)
def test_the_line_on_queued_runs_names_settings_that_differ(commands, tmp_path, capsys, now, named):
    sweep = tmp_path / "sweep"
    assert submit(sweep, ["a", "b"], SlurmSettings(**BEFORE), [], trust=["--allow-foreign-class", "x.Y"])
    (submission,) = submissions_of(sweep)
    show_queue(commands, f"1_[0-1]|PENDING|Priority|{submission.job_name(submission.jobs[0])}")
    capsys.readouterr()
    assert submit(sweep, ["a", "b"], SlurmSettings(**{**BEFORE, **now}), []) is None
    line = capsys.readouterr().out
    assert line.startswith("2 of 2 runs are in the queue already")
    if named is None:
        assert line == "2 of 2 runs are in the queue already\n"
    else:
        assert f"keep the settings with which they were submitted, not the new {named}; to change that" in line
        assert f"sweep cancel {sweep} first" in line


def test_only_submissions_in_the_queue_count(commands, tmp_path, capsys):
    sweep = tmp_path / "sweep"
    assert submit(sweep, ["a"], SlurmSettings(mem="1G"), [])  # cancelled: no longer in the queue
    assert submit(sweep, ["a"], SlurmSettings(mem="2G"), [])
    last = submissions_of(sweep)[-1]
    show_queue(commands, f"2_0|PENDING|Priority|{last.job_name(last.jobs[0])}")
    capsys.readouterr()
    assert submit(sweep, ["a"], SlurmSettings(mem="2G"), []) is None
    assert capsys.readouterr().out == "1 of 1 runs are in the queue already\n"
