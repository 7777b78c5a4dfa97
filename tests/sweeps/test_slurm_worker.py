"""What a task of a submission prints when its time limit ends it."""

import os
import signal
import time

import pytest

from optical_sweeps.interruption import Interrupted, how_to_continue
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission_plan import Submission, create
from optical_sweeps.sweeps import slurm_worker
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.trusted_grid import Trust


@pytest.fixture
def submission(tmp_path, monkeypatch) -> Submission:
    sweep = tmp_path / "sweep"
    Grid(sweep, (GridPoint(("seed=1",), "a", "a"),)).save()
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    settings = SlurmSettings(time="0:10:00", prepare={"time": "0:05:00"})
    return create(sweep, [["a"]], settings, [], prepares=True, tasks_per_array=9, started_in=str(tmp_path))


def last_line(
    submission, monkeypatch, capsys, number: signal.Signals, *, seconds_left: int, saves: bool
) -> str:
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + seconds_left))

    def perform_run(grid: Grid, run: str) -> None:
        if saves:
            (RunFolder(grid.folder / run).path / "checkpoints" / "step-1").mkdir(parents=True)
        os.kill(os.getpid(), number)
        raise Interrupted(number)

    monkeypatch.setattr(slurm_worker, "perform_run", perform_run)
    with pytest.raises(Interrupted):
        slurm_worker.work(submission, 0, Trust())
    return capsys.readouterr().out


def test_a_task_that_saved_nothing_before_its_limit_says_that_the_limit_is_too_short(
    submission, monkeypatch, capsys
):
    text = last_line(submission, monkeypatch, capsys, signal.SIGTERM, seconds_left=0, saves=False)
    line = "a: the time limit ended before anything was saved: submit again with a longer hydra.launcher.time"
    assert f"{line} (it was 0:10:00)\ninterrupted by SIGTERM\n" in text
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    text = last_line(submission, monkeypatch, capsys, signal.SIGTERM, seconds_left=0, saves=True)
    assert "a: the time limit ended; its last checkpoint is kept: submit again" in text


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGTERM, 300), (signal.SIGUSR1, 0)])
def test_other_ends_do_not_blame_the_limit(submission, monkeypatch, capsys, number, seconds):
    text = last_line(submission, monkeypatch, capsys, number, seconds_left=seconds, saves=False)
    assert "time limit" not in text


def test_the_preparation_names_its_own_limit(submission, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1")

    def stop(*_: object) -> None:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(Trust, "check", stop)
    with pytest.raises(Interrupted):
        slurm_worker.work(submission, None, Trust())
    assert "submit again with a longer hydra.launcher.prepare.time (it was 0:05:00)" in capsys.readouterr().out


def test_how_a_stopped_run_continues_depends_on_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert how_to_continue() == "run the same command again to continue"
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert how_to_continue() == "it continues if Slurm requeues the job; otherwise submit it again"
