"""What Slurm's commands print, read back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.slurm_commands import Task, _reason, parse_limits, parse_queue
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import packed, submit
from optical_sweeps.slurm.submission_plan import submissions_of
from tests.support.slurm_stand_ins import stand_in

STRETCHES = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=6
)


def as_squeue_does(first: int, more: int, step: int) -> str:
    """One part of an array's task list: `3`, `3-9` or `3-9:2`."""
    if more == 0:
        return str(first)
    return f"{first}-{first + more * step}" + (f":{step}" if step > 1 else "")


@given(STRETCHES, st.one_of(st.none(), st.integers(1, 9)))
def test_waiting_arrays_are_told_task_by_task(stretches, at_once):
    parts = ",".join(as_squeue_does(*stretch) for stretch in stretches)
    limit = f"%{at_once}" if at_once else ""
    tasks = parse_queue(f"  12_[{parts}{limit}]|PENDING|Priority|a|b\n")
    expected = [first + step * number for first, more, step in stretches for number in range(more + 1)]
    assert tasks == [Task("12", index, "PENDING", "Priority", "a|b") for index in expected]
    assert {task.activity for task in tasks} == {"queued"}


def test_jobs_tasks_and_lines_that_are_neither():
    lines = (
        "12|RUNNING|None|x\n13_4|COMPLETING|None|y\n7_1|REQUEUE_HOLD|JobHeldUser|z\nslurm_load_jobs error\n\n"
    )
    tasks = parse_queue(lines)
    assert [(task.id, task.activity) for task in tasks] == [
        ("12", "running"),
        ("13_4", "running"),
        ("7_1", "queued"),
    ]
    assert [task.never_starts for task in tasks] == [False, False, True]


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    assert all(isinstance(task, Task) for task in parse_queue(text))
    assert parse_limits(text).tasks_per_array >= 1


def test_slurms_complaints_are_one_line():
    told = (
        "sbatch: error: You must name an account.\n"
        "sbatch: error: Batch job submission failed: Invalid account or partition specified\n"
    )
    assert _reason("sbatch", told) == (
        "You must name an account.; Batch job submission failed: Invalid account or partition specified"
    )
    assert _reason("sbatch", "") == ""


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("MaxArraySize            = 6\n", 6),
        ("MaxArraySize = 1001\nSchedulerParameters     = default_queue_depth=9,max_array_tasks=40\n", 40),
        ("MaxArraySize = 10\nSchedulerParameters = max_array_tasks=40", 10),
        ("", 1001),
    ],
)
def test_limits(text, tasks):
    assert parse_limits(text).tasks_per_array == tasks


@given(st.lists(st.integers(), min_size=1, max_size=60, unique=True), st.integers(1, 9), st.integers(1, 9))
def test_packs_hold_every_run_once_in_order_and_fit_the_limit(runs, size, most):
    names = [str(run) for run in runs]
    for packs in (packed(names, size), packed(names, size, most)):
        assert [name for pack in packs for name in pack] == names
        assert all(packs)
    assert len(packed(names, size, most)) <= most
    assert max(map(len, packed(names, size))) <= size


def test_options_in_the_users_environment_do_not_reach_slurms_commands(commands, tmp_path, monkeypatch):
    for program, prints in (("sbatch", "12"), ("squeue", ""), ("scancel", ""), ("scontrol", "")):
        stand_in(commands, program, f"env > {tmp_path}/{program}.env; echo {prints}")
    options = ("SQUEUE_STATES", "SQUEUE_FORMAT", "SCANCEL_STATE", "SBATCH_WAIT", "SBATCH_EXPORT")
    for name in options:
        monkeypatch.setenv(name, "RUNNING")
    kept = {"SLURM_CONF": "/etc/elsewhere.conf", "SLURM_CLUSTERS": "big", "MINE": "1"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    slurm.submit("name", Path("script.sh"), [])
    slurm.queue(["name"])
    slurm.cancel(["12"])
    slurm.limits()
    for program in ("sbatch", "squeue", "scancel", "scontrol"):
        lines = (tmp_path / f"{program}.env").read_text(encoding="utf-8").splitlines()
        seen = dict(line.partition("=")[::2] for line in lines)
        assert not set(options) & set(seen), program
        assert {name: seen[name] for name in kept} == kept


TIMED_OUT = (
    "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1"
)


def test_a_job_that_was_accepted_without_an_answer_is_found_by_its_name(commands, monkeypatch):
    monkeypatch.setattr(slurm, "_LOOK_UPS", (0.0, 0.0, 0.0))
    stand_in(commands, "sbatch", TIMED_OUT)
    queue = commands / "queue"
    body = f"[ -e {queue} ] || {{ touch {queue}; exit; }}; echo '12_[0-3]|PENDING|Priority|name'"
    stand_in(commands, "squeue", body)  # shown at the second look
    assert slurm.submit("name", Path("script.sh"), []) == "12"


def test_a_job_that_was_not_accepted_is_an_error(commands, monkeypatch):
    monkeypatch.setattr(slurm, "_LOOK_UPS", (0.0, 0.0))
    stand_in(commands, "sbatch", TIMED_OUT)
    stand_in(commands, "squeue", "true")
    with pytest.raises(slurm.SlurmError, match="Socket timed out") as raised:
        slurm.submit("name", Path("script.sh"), [])
    assert not isinstance(raised.value, slurm.SubmissionUnknown)


def test_a_submission_without_an_answer_is_kept_and_adopted_later(commands, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slurm, "_LOOK_UPS", (0.0,))
    stand_in(commands, "scontrol", "echo MaxArraySize = 10")
    stand_in(commands, "sbatch", TIMED_OUT)
    stand_in(commands, "squeue", "exit 1")
    sweep = tmp_path / "sweep"
    with pytest.raises(slurm.SlurmError, match="give the same command"):
        submit(sweep, ["a", "b"], SlurmSettings(), [])
    (kept,) = submissions_of(sweep)
    name = kept.job_name(kept.jobs[0])
    stand_in(commands, "squeue", f"echo '12_[0-1]|PENDING|Priority|{name}'")
    stand_in(commands, "sbatch", "echo 13; exit 1")
    assert submit(sweep, ["a", "b"], SlurmSettings(), []) is None
    assert capsys.readouterr().out == "2 of 2 runs are in the queue already\n"
    assert submissions_of(sweep)[0].jobs[0].job == "12"
