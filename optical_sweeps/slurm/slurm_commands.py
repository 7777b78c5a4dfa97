"""Slurm's own commands as functions: submit, look at the queue, cancel, signal, limits.

Nothing here knows what a job does. `sacct` is never asked: many clusters have no accounting database.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optical_sweeps.errors import UserError

WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT", "PREEMPTED"}
"""States of a job that has not begun, or that will begin again; every other state in the queue is of work."""

NEVER = {
    "BadConstraints", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS", "JobHeldAdmin", "JobHeldUser",
    "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "QOSTimeLimit", "AssocTimeLimit",
    "launch_failed_requeued_held", "job_requeued_in_held_state",
}  # fmt: skip
"""Reasons to wait that do not pass by themselves."""

_FORMAT = "%i|%T|%r|%j"
_JOB = re.compile(r"(?P<job>\d+)(?:\+\d+)?(?:_(?:\[(?P<many>[^\]]+)\]|(?P<one>\d+)))?")


class SlurmError(UserError):
    """Slurm is not here, does not answer, or refuses; one line with its own reason."""


@dataclass(frozen=True)
class Task:
    """One job in the queue, or one task of a job array.

    Args:
        job: the job's number, or the array's.
        index: of the task in its array; None where the job is no array.
        state: Slurm's long name, such as PENDING.
        reason: why it waits, in Slurm's words, such as Priority.
        name: the job's name.
    """

    job: str
    index: int | None
    state: str
    reason: str
    name: str

    @property
    def id(self) -> str:
        """As `scancel` takes it."""
        return self.job if self.index is None else f"{self.job}_{self.index}"

    @property
    def waits_in_vain(self) -> bool:
        """Whether somebody has to do something before it can begin."""
        return self.state in WAITING and self.reason.strip("()").replace(" ", "_") in NEVER

    @property
    def activity(self) -> Literal["queued", "running"]:
        return "queued" if self.state in WAITING else "running"


@dataclass(frozen=True)
class Limits:
    """What the cluster allows: an array has at most `tasks_per_array` tasks, counted from 0."""

    tasks_per_array: int


def is_here() -> bool:
    """Whether this machine can speak to a Slurm cluster at all."""
    return shutil.which("squeue") is not None


def submit(script: Path, options: Sequence[str], arguments: Sequence[str] = ()) -> str:
    """Submit a batch script, return the job's number.

    Raises:
        SlurmError: there is no Slurm, or it refuses; its reason is quoted.
    """
    told = _call("sbatch", "--parsable", *options, str(script), *arguments, timeout=300)
    number = told.strip().splitlines()[-1].split(";")[0] if told.strip() else ""
    if not number.isdigit():
        raise SlurmError(f"sbatch: no job number in its answer {told.strip()!r}; look with squeue --me")
    return number


def queue(names: Sequence[str]) -> list[Task]:
    """The tasks in the queue, waiting or working, whose job has one of these names; one call for all.

    Raises:
        SlurmError: there is no Slurm, or it does not answer.
    """
    if not names:
        return []
    # Without this length squeue cuts long lists of tasks short, with an ellipsis.
    return parse_queue(
        _call(
            "squeue",
            "--noheader",
            f"--format={_FORMAT}",
            f"--name={','.join(names)}",
            more={"SLURM_BITSTR_LEN": "0"},
        )
    )


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs or tasks, such as `12` or `12_3`; those that have ended are passed over.

    Raises:
        SlurmError: there is no Slurm, or it refuses.
    """
    if ids:
        _call("scancel", "--quiet", *ids)


def signal(task: str, name: str) -> None:
    """Send a signal, such as USR2, to the shell of a running task.

    Raises:
        SlurmError: there is no Slurm, or it refuses.
    """
    _call("scancel", "--quiet", "--batch", f"--signal={name}", task)


def limits() -> Limits:
    """The cluster's limits on job arrays.

    Raises:
        SlurmError: there is no Slurm, or it does not answer.
    """
    return parse_limits(_call("scontrol", "show", "config"))


def parse_limits(text: str) -> Limits:
    """Limits from what `scontrol show config` prints; Slurm's defaults where it does not say.

    >>> parse_limits("MaxArraySize            = 1001\\nSchedulerParameters = bf_window=10,max_array_tasks=500")
    Limits(tasks_per_array=500)
    """
    size = re.search(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE)
    tasks = re.search(r"^SchedulerParameters\s*=.*\bmax_array_tasks=(\d+)", text, re.MULTILINE)
    known = [int(found[1]) for found in (size, tasks) if found]
    return Limits(max(1, min(known, default=1001)))


def parse_queue(text: str) -> list[Task]:
    """Tasks from squeue's lines; one for every task of an array that waits, such as `12_[3,5-9%2]`.

    >>> [(task.id, task.activity) for task in parse_queue("12_[3,5-6%2]|PENDING|Priority|demo\\n")]
    [('12_3', 'queued'), ('12_5', 'queued'), ('12_6', 'queued')]
    """
    tasks = []
    for line in text.splitlines():
        parts = line.strip().split("|", 3)
        found = _JOB.fullmatch(parts[0])
        if found is None or len(parts) < 4:
            continue
        tasks += [Task(found["job"], index, *parts[1:]) for index in _indices(found)]
    return tasks


def _indices(found: re.Match[str]) -> Iterator[int | None]:
    if found["one"]:
        yield int(found["one"])
    elif not found["many"]:
        yield None
    else:
        for part in found["many"].split("%")[0].split(","):
            if numbers := re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part):
                first, last, step = (int(number) if number else None for number in numbers.groups())
                assert first is not None
                yield from range(first, (first if last is None else last) + 1, step or 1)


def _call(program: str, *arguments: str, timeout: int = 60, more: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            [program, *arguments],
            env={**_environment(), **(more or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        raise SlurmError(
            f"{program}: not found, so this machine submits nothing to Slurm; "
            "go to a login node, or run here with hydra/launcher=basic"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{program}: no answer in {timeout} s; is the cluster up? Try again later") from None
    if done.returncode:
        raise SlurmError(f"{program}: {_reason(program, done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours, less what a job that we run in would pass on to the jobs that we submit."""
    if "SLURM_JOB_ID" not in os.environ:
        return dict(os.environ)
    return {k: v for k, v in os.environ.items() if k == "SLURM_CONF" or not k.startswith(("SLURM_", "SRUN_"))}


def _reason(program: str, told: str) -> str:
    """Slurm's complaint in one line, without its prefixes.

    >>> _reason("sbatch", "sbatch: error: Batch job submission failed: Invalid qos specification\\n")
    'Batch job submission failed: Invalid qos specification'
    """
    prefix = re.compile(rf"^{re.escape(program)}:\s*(?:(?:error|fatal):\s*)?")
    lines = [prefix.sub("", line.strip()) for line in told.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))
