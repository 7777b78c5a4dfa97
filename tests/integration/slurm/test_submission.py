"""Submissions to a real cluster, of runs that take no time: arrays, packs, failures, cancellation."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.cancellation import cancel
from optical_sweeps.slurm.slurm_commands import SlurmError
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import queued_runs, submit_again
from optical_sweeps.slurm.submission_plan import SharingGroup, Submission, submissions_of
from optical_sweeps.slurm.submission_queue import problems
from optical_sweeps.slurm.waiting import wait_for
from tests.support.command_line import printed
from tests.support.quick_sweep import QuickSweep
from tests.support.slurm_cluster import MAX_ARRAY_SIZE

SUBMIT = """
import sys
from pathlib import Path
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit
sweep, python, *runs = sys.argv[1:]
submit(Path(sweep), runs, SlurmSettings(python=python), [])
"""


def test_more_runs_than_an_array_holds_some_fail_some_are_killed(quick_sweep: QuickSweep):
    runs = {f"r{number}": "ok" for number in range(MAX_ARRAY_SIZE + 3)}
    quick_sweep.ask({**runs, "r1": "fail", "r2": "die"})
    first = quick_sweep.submit(parallelism=4)
    assert first
    assert [(job.first, job.count) for job in first.jobs] == [(0, MAX_ARRAY_SIZE), (MAX_ARRAY_SIZE, 3)]
    assert set(queued_runs(quick_sweep.folder)) == set(runs)
    assert quick_sweep.submit() is None  # all of it is in the queue
    assert set(quick_sweep.states().values()) <= {"queued", "running", "done", "failed", "stale"}

    quick_sweep.until_over()
    assert quick_sweep.states() == {**dict.fromkeys(runs, "done"), "r1": "failed", "r2": "stale"}
    assert {run: len(quick_sweep.began(run)) for run in runs} == dict.fromkeys(runs, 1)
    assert sorted(quick_sweep.ends().values()) == ["COMPLETED"] * (len(runs) - 2) + ["FAILED"] * 2
    assert queued_runs(quick_sweep.folder) == {}

    quick_sweep.ask({"new": "ok"})  # a value is added to the grid: what is done costs no job
    left = [run for run, state in quick_sweep.states().items() if state != "done"]
    second = quick_sweep.submit(*left, points_per_task=3)
    assert second
    assert second.packs == (("r1", "r2", "new"),)
    assert quick_sweep.states()["r1"] == "queued"  # and no longer failed: it will be tried again
    quick_sweep.until_over()
    assert quick_sweep.states() == {
        **dict.fromkeys([*runs, "new"], "done"),
        "r1": "failed",
        "r2": "stale",  # the pack went on after r1 had failed, and after its worker had been killed in r2
    }
    assert [len(quick_sweep.began(run)) for run in ("r0", "r1", "r2", "new")] == [1, 2, 2, 1]

    told = printed("sweep logs", str(quick_sweep.folder / "r1"))
    assert "ValueError: as asked" in told
    assert str(second.folder / "logs") in told


def test_time_limit_requeue_preemption(quick_sweep: QuickSweep):
    """Interrupted tasks are requeued, and perform only what is missing."""
    does = {"a1": "ok", "a2": "wait-once", "a3": "fail", "a4": "wait-once", "a5": "ok"}
    quick_sweep.ask({**does, "limited": "wait-once", "given-up": "wait"})
    limited = quick_sweep.submit("limited", time="0:01:00", warn_seconds=20)
    given_up = quick_sweep.submit("given-up", time="0:01:00", warn_seconds=20, requeues=0)
    pack = quick_sweep.submit(*does, points_per_task=5)
    assert limited
    assert given_up
    assert pack
    quick_sweep.until(lambda it: it.began("a2") and it.began("limited") and it.began("given-up"))
    assert quick_sweep.states() == {
        "a1": "done", "a2": "running", "a3": "queued", "a4": "queued", "a5": "queued",
        "limited": "running", "given-up": "running",
    }  # fmt: skip

    quick_sweep.cluster.call("scontrol", "requeue", f"{pack.jobs[0].job}_0")
    quick_sweep.until(lambda it: it.states()["a2"] == "queued")
    quick_sweep.until(lambda it: len(it.began("a2")) == 2)
    quick_sweep.until_over(seconds=120)
    assert quick_sweep.states() == {
        "a1": "done", "a2": "done", "a3": "failed", "a4": "done", "a5": "done",
        "limited": "done", "given-up": "stale",
    }  # fmt: skip
    assert [len(quick_sweep.began(run)) for run in does] == [1, 2, 1, 1, 1]
    assert [restart for _, restart, _ in quick_sweep.began("limited")] == ["0", "1"]
    said = limited.log_of(limited.jobs[0], 0).read_text()
    assert "interrupted by SIGUSR1" in said
    assert "time limit: requeued" in said
    assert "submit again to continue" in given_up.log_of(given_up.jobs[0], 0).read_text()


def test_a_higher_partition_takes_the_node_for_a_while(quick_sweep: QuickSweep):
    quick_sweep.ask({"b1": "ok", "b2": "wait-once", "b3": "ok"})
    submission = quick_sweep.submit(points_per_task=3, partition="low", tasks_per_node=1, cpus=2)
    assert submission
    quick_sweep.until(lambda it: bool(it.began("b2")))
    quick_sweep.cluster.call("srun", "--partition=high", "--cpus-per-task=4", "sleep", "1")
    quick_sweep.until_over()
    assert quick_sweep.states() == {"b1": "done", "b2": "done", "b3": "done"}
    assert [restart for _, restart, _ in quick_sweep.began("b2")] == ["0", "1"]
    assert len(quick_sweep.began("b1")) == 1
    assert "interrupted by SIGUSR1" in submission.log_of(submission.jobs[0], 0).read_text()


def test_cancelling_runs_of_a_pack_and_whole_sweeps(quick_sweep: QuickSweep):
    quick_sweep.ask({"c1": "wait", "c2": "ok", "c3": "ok", "d1": "wait", "d2": "ok", "e1": "ok"})
    assert quick_sweep.submit("c1", "c2", "c3", points_per_task=3)
    rest = quick_sweep.submit("d1", "d2", "e1", points_per_task=2, parallelism=1)
    assert rest
    quick_sweep.until(lambda it: it.began("c1") and it.began("d1"))

    done = json.loads(printed("sweep cancel", str(quick_sweep.folder), "--run=c1", "--run", "c3", "--json"))
    assert (done["tasks"], done["runs"]) == ([], ["c1", "c3"])
    quick_sweep.until(lambda it: it.states()["c2"] == "done")
    assert quick_sweep.states()["d1"] == "running"
    told = printed("sweep cancel", str(quick_sweep.folder))
    assert "cancelled: d1" in told
    assert "cancelled: e1" in told
    quick_sweep.until_over()
    assert quick_sweep.states() == {
        "c1": "stale", "c2": "done", "c3": "missing", "d1": "stale", "d2": "missing", "e1": "missing",
    }  # fmt: skip
    assert "c1: cancelled" in quick_sweep.logs()
    assert len(quick_sweep.began("d1")) == 1  # a cancelled task does not come back
    assert printed("sweep cancel", str(quick_sweep.folder)).startswith("nothing to cancel")

    again = submit_again(quick_sweep.folder, ["c3", "d2"], rest.settings)
    assert again
    assert again.settings == rest.settings
    quick_sweep.until_over()
    assert [quick_sweep.states()[run] for run in ("c3", "d2")] == ["done", "done"]


def test_preparation_comes_first_and_its_failure_ends_the_rest(quick_sweep: QuickSweep):
    quick_sweep.ask({"p1": "ok", "p2": "ok", "q1": "ok"})
    store = quick_sweep.folder.parent / "artifacts" / "prepared"
    store.parent.mkdir()
    good, bad = str(store / "good.json"), str(store / "bad.json")
    shared = [SharingGroup(good, ("p1", "p2")), SharingGroup(bad, ("q1",))]
    first = quick_sweep.submit("p1", "p2", shared=shared, prepare={"cpus": 2})
    assert first
    second = quick_sweep.submit("q1", shared=shared)
    assert second
    assert [job.role for job in first.jobs] == ["prepare", "array"]
    quick_sweep.until_over()
    assert quick_sweep.states() == {"p1": "done", "p2": "done", "q1": "missing"}
    assert quick_sweep.began("q1") == []
    (line,) = problems(quick_sweep.folder)
    assert line.startswith("preparation failed before 1 of its runs began: see ")
    assert "the teacher is ill" in Path(line.partition("see ")[2]).read_text()
    assert "the teacher is ill" in printed("sweep logs", str(quick_sweep.folder / "q1"))

    third = quick_sweep.submit("p1", shared=shared)  # as if its record had been lost
    assert third
    assert [job.role for job in third.jobs] == ["array"]
    quick_sweep.until_over()


def test_of_two_people_one_submits(quick_sweep: QuickSweep):
    quick_sweep.ask({"t1": "ok", "t2": "ok"})
    command = [sys.executable, "-c", SUBMIT, str(quick_sweep.folder), str(quick_sweep.python), "t1", "t2"]
    people = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [person.communicate(timeout=60)[0] for person in people]
    assert [person.returncode for person in people] == [0, 0]
    assert len(submissions_of(quick_sweep.folder)) == 1
    assert sorted(line.split()[0] for text in told for line in text.splitlines()) == ["2", "2"]
    assert any("2 of 2 runs are in the queue already" in text for text in told)
    ends = wait_for(quick_sweep.folder, ["t1", "t2"], 0.3, lambda run, end: None)
    assert ends == {"t1": "done", "t2": "done"}
    assert [len(quick_sweep.began(run)) for run in ("t1", "t2")] == [1, 1]


def test_several_processes_a_run_start_by_srun_and_agree(quick_sweep: QuickSweep):
    quick_sweep.ask({"s1": "ok", "s2": "wait-once", "s3": "ok"})
    submission = quick_sweep.submit(points_per_task=3, tasks_per_node=2, time="0:01:00", warn_seconds=20)
    assert submission
    quick_sweep.until(lambda it: len(it.began("s2")) == 2)
    assert {rank for _, _, rank in quick_sweep.began("s2")} == {"0", "1"}
    quick_sweep.cluster.call("scancel", "--batch", "--signal=USR1", f"{submission.jobs[0].job}_0")
    quick_sweep.until_over()
    assert quick_sweep.states() == {"s1": "done", "s2": "done", "s3": "done"}
    assert sorted(rank for _, restart, rank in quick_sweep.began("s2") if restart == "1") == ["0", "1"]
    assert {restart for _, restart, _ in quick_sweep.began("s1")} == {"0"}


def test_a_run_on_two_nodes(quick_sweep: QuickSweep):
    quick_sweep.ask({"n1": "ok", "n2": "ok"})
    quick_sweep.submit(nodes=2, partition="wide", points_per_task=2)
    quick_sweep.until_over()
    assert quick_sweep.states() == {"n1": "done", "n2": "done"}
    assert sorted(rank for _, _, rank in quick_sweep.began("n1")) == ["0", "1"]


def test_account_constraint_setup_and_container_reach_the_task(quick_sweep: QuickSweep, tmp_path):
    """A container is a command put before the program: here one that leaves its mark and runs it."""
    container = tmp_path / "container"
    container.write_text('#!/bin/sh\nenv > "$1"; shift\nexec "$@"\n')
    container.chmod(0o755)
    quick_sweep.ask({"c1": "ok"})
    submission = quick_sweep.submit(
        account="retrieval",
        partition="wide",
        constraint="new",
        setup=["export LOADED=module"],
        prefix=f"{container} {tmp_path}/seen",
        environment={"MORE": "of it"},
    )
    assert submission
    told = quick_sweep.cluster.call("scontrol", "show", "job", submission.jobs[0].job)
    quick_sweep.until_over()
    assert quick_sweep.states() == {"c1": "done"}
    assert "Account=retrieval" in told
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "seen").read_text().splitlines())
    assert (seen["LOADED"], seen["MORE"], seen["WANDB_MODE"]) == ("module", "of it", "offline")
    assert seen["SLURM_JOB_NODELIST"].endswith("-b")  # the only node with that feature


def test_options_in_the_users_environment_change_nothing(quick_sweep: QuickSweep, monkeypatch):
    for name, value in (("SQUEUE_STATES", "RUNNING"), ("SCANCEL_STATE", "RUNNING"), ("SBATCH_WAIT", "1")):
        monkeypatch.setenv(name, value)
    quick_sweep.ask({"u1": "ok"})
    assert quick_sweep.submit(sbatch=["--hold"])  # returns, though the job waits
    assert quick_sweep.states() == {"u1": "queued"}
    assert quick_sweep.submit() is None
    cancel(quick_sweep.folder, ["u1"])
    monkeypatch.delenv("SQUEUE_STATES")
    quick_sweep.until_over(60)


@pytest.mark.parametrize("options", [[], ["--export=NONE"]])
def test_exports_reach_the_processes_of_srun(quick_sweep: QuickSweep, tmp_path, monkeypatch, options):
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    seer = tmp_path / "seer"
    seer.write_text('#!/bin/sh\nenv > "$1.$SLURM_PROCID"; shift\nexec "$@"\n')
    seer.chmod(0o755)
    quick_sweep.ask({"w1": "ok"})
    quick_sweep.submit(
        tasks_per_node=2, prefix=f"{seer} {tmp_path}/seen", environment={"MORE": "of it"}, sbatch=options
    )
    quick_sweep.until_over()
    for rank in (0, 1):
        lines = (tmp_path / f"seen.{rank}").read_text().splitlines()
        seen = dict(line.partition("=")[::2] for line in lines)
        assert (seen["MORE"], seen["WANDB_MODE"], seen["HF_HUB_OFFLINE"]) == ("of it", "offline", "1")
        assert "OMP_NUM_THREADS" in seen
    assert quick_sweep.states() == {"w1": "done"}


def test_the_users_limit_makes_longer_packs(quick_sweep: QuickSweep):
    quick_sweep.ask({f"m{number}": "ok" for number in range(7)})
    submission = quick_sweep.submit(max_submit=3)
    assert submission
    assert list(map(len, submission.packs)) == [3, 3, 1]
    quick_sweep.ask({"later": "ok"})
    with pytest.raises(UserError, match="max_submit: 3 leaves no room: 3 tasks of this sweep are queued"):
        quick_sweep.submit("later", max_submit=3)
    quick_sweep.until_over()
    assert set(quick_sweep.states().values()) == {"done", "missing"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"partition": "nowhere"}, "invalid partition specified: nowhere"),
        ({"constraint": "no-such"}, "Invalid feature specification"),
        ({"sbatch": ["--no-such-option"]}, "unrecognized option '--no-such-option'"),
    ],
)
def test_what_slurm_refuses_is_said_and_leaves_nothing(quick_sweep: QuickSweep, settings, reason):
    quick_sweep.ask({"x1": "ok"})
    with pytest.raises(SlurmError) as caught:
        quick_sweep.submit(**settings)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert submissions_of(quick_sweep.folder) == []
    assert quick_sweep.states() == {"x1": "missing"}


def test_a_refused_array_takes_its_preparation_back(quick_sweep: QuickSweep):
    quick_sweep.ask({"y1": "ok"})
    shared = [SharingGroup(str(quick_sweep.folder / "prepared" / "never.json"), ("y1",))]
    with pytest.raises(SlurmError, match="invalid partition"):
        quick_sweep.submit(shared=shared, partition="nowhere", prepare={"partition": "low", "cpus": 4})
    quick_sweep.until_over()
    assert submissions_of(quick_sweep.folder) == []


def test_tasks_that_will_never_start_are_reported(quick_sweep: QuickSweep):
    quick_sweep.ask({"v1": "ok", "v2": "ok"})
    submission = quick_sweep.submit(nodes=2)  # of one
    assert submission
    told = f"2 of Slurm job {submission.jobs[0].job}'s tasks will never start (PartitionNodeLimit): "
    quick_sweep.until(lambda it: any(line.startswith(told) for line in problems(it.folder)))
    assert set(quick_sweep.states().values()) == {"queued"}
    shown = json.loads(printed("sweep status", str(quick_sweep.folder), "--json"))
    assert shown["problems"] == problems(quick_sweep.folder) != []
    cancel(quick_sweep.folder, ["v1", "v2"])
    quick_sweep.until_over()
    assert problems(quick_sweep.folder) == []


def test_where_there_is_no_slurm(quick_sweep: QuickSweep, tmp_path, monkeypatch):
    quick_sweep.ask({"z1": "ok"})
    (quick_sweep.folder / "submissions").mkdir()
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("PATH", str(tmp_path))
        assert queued_runs(quick_sweep.folder) == {}
        assert problems(quick_sweep.folder) == []
        with pytest.raises(SlurmError, match="not found, so this machine submits nothing to Slurm"):
            quick_sweep.submit()


def test_the_limits_are_the_clusters(quick_sweep: QuickSweep):
    assert slurm.limits().tasks_per_array == MAX_ARRAY_SIZE


def test_a_plan_is_read_back_as_it_was_written(quick_sweep: QuickSweep):
    quick_sweep.ask({"k1": "ok"})
    submission = quick_sweep.submit(setup=["true"], environment={"A": "b c"}, gpus=1)
    assert submission
    stored = Submission.load(submission.folder)
    assert stored.settings == SlurmSettings(gpus=1)  # what runs in the jobs is the user's config alone
    assert stored.from_config == ("setup", "python", "environment")
    assert replace(stored, settings=submission.settings) == submission
    quick_sweep.until_over()
    assert quick_sweep.states() == {"k1": "done"}
