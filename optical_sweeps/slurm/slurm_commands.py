"""Slurm's commands as functions: submit, list the queue, cancel, signal, limits.

`sacct` is not used, since many clusters have no accounting database.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optical_sweeps.errors import UserError

WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT", "PREEMPTED"}
"""States of a job that has not started, or that will start again; every other job in the queue is running."""

NEVER = {
    "BadConstraints", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS", "JobHeldAdmin", "JobHeldUser",
    "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "QOSTimeLimit", "AssocTimeLimit",
    "launch_failed_requeued_held", "job_requeued_in_held_state",
}  # fmt: skip
"""Reasons for waiting that need the user's action."""

_FORMAT = "%i|%T|%r|%j"
_JOB = re.compile(r"(?P<job>\d+)(?:\+\d+)?(?:_(?:\[(?P<many>[^\]]+)\]|(?P<one>\d+)))?")


class SlurmError(UserError):
    """Slurm is not installed, does not answer, or refuses; the message gives its reason in one line."""


class Refused(SlurmError):
    """Slurm answered, and refuses."""


class SubmissionUnknown(SlurmError):
    """Nobody answered whether a job was accepted: it may be in the queue, under its name."""


@dataclass(frozen=True)
class Task:
    """One job in the queue, or one task of a job array.

    Args:
        job: the number of the job or of its array.
        index: the task's index in its array; None for a job that is not an array.
        state: Slurm's long name of the state, such as PENDING.
        reason: Slurm's reason for waiting, such as Priority.
        name: the job's name.
    """

    job: str
    index: int | None
    state: str
    reason: str
    name: str

    @property
    def id(self) -> str:
        """The task's id for `scancel`."""
        return self.job if self.index is None else f"{self.job}_{self.index}"

    @property
    def never_starts(self) -> bool:
        """Whether the task cannot start until someone changes something."""
        return self.state in WAITING and self.reason.strip("()").replace(" ", "_") in NEVER

    @property
    def is_held(self) -> bool:
        """Whether the task waits to be released by hand."""
        return "held" in self.reason.lower()

    @property
    def activity(self) -> Literal["queued", "running"]:
        """Whether the task waits or runs."""
        return "queued" if self.state in WAITING else "running"


@dataclass(frozen=True)
class Limits:
    """The cluster's limits: a job array has at most `tasks_per_array` tasks, numbered from 0."""

    tasks_per_array: int


def is_here() -> bool:
    """Whether Slurm's commands are installed on this machine."""
    return shutil.which("squeue") is not None


def submit(
    name: str,
    script: Path,
    options: Sequence[str],
    arguments: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> str:
    """Submit a batch script and return the job's number.

    If sbatch ends without an answer, the job is looked up by its name: the controller may have accepted it.

    Args:
        name: the job's name, which no other job has.
        variables: further variables of sbatch's environment, which the job inherits.

    Raises:
        Refused: Slurm refuses; its reason is quoted.
        SlurmError: Slurm is not installed.
        SubmissionUnknown: Slurm does not say whether it accepted the job.
    """
    command = ("--parsable", f"--job-name={name}", *options, str(script), *arguments)
    try:
        output = _call("sbatch", *command, timeout=300, variables=variables).strip()
    except SlurmError as error:
        if not _NO_ANSWER.search(str(error)):
            raise
        number = _accepted(name, error)
        if number is None:
            raise
        return number
    number = output.splitlines()[-1].split(";")[0] if output else ""
    if not number.isdigit():
        raise SlurmError(f"sbatch: no job number in its output {output!r}; check with squeue --me")
    return number


_NO_ANSWER = re.compile(
    r"timed? ?out|no answer in|Zero Bytes|Unable to contact|connection failure", re.IGNORECASE
)
"""Errors of sbatch after which the controller may have accepted the job nevertheless."""

_LOOK_UPS = (0.0, 2.0, 5.0, 10.0)
"""Seconds to wait before each look-up of a job whose submission got no answer."""


def _accepted(name: str, error: SlurmError) -> str | None:
    """The number of the job of this name; None if Slurm answers that there is none, also after a while."""
    answered = False
    for seconds in _LOOK_UPS:
        time.sleep(seconds)
        try:
            tasks = queue([name], "--states=all")  # a short job may have ended by now
        except SlurmError:
            continue
        answered = True
        if tasks:
            return tasks[0].job
    if answered:
        return None
    raise SubmissionUnknown(f"{error}; squeue does not answer either, so the job {name} may have been accepted")


def queue(names: Sequence[str], *options: str) -> list[Task]:
    """The tasks in the queue whose job has one of these names; one call for all.

    Raises:
        SlurmError: Slurm is not installed, or does not answer.
    """
    if not names:
        return []
    # SLURM_BITSTR_LEN: by default squeue abbreviates long lists of tasks
    format_and_names = ("--noheader", f"--format={_FORMAT}", f"--name={','.join(names)}")
    return parse_queue(_call("squeue", *format_and_names, *options, variables={"SLURM_BITSTR_LEN": "0"}))


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs or tasks, such as `12` or `12_3`; those that have ended are skipped.

    Raises:
        SlurmError: Slurm is not installed, or refuses.
    """
    if ids:
        _call("scancel", "--quiet", *ids)


def cancel_named(name: str) -> None:
    """Cancel the jobs of this name; none is no error.

    Raises:
        SlurmError: Slurm is not installed, or does not answer.
    """
    _call("scancel", "--quiet", f"--name={name}")


def signal(task: str, name: str) -> None:
    """Send a signal, such as USR2, to the shell of a running task.

    Raises:
        SlurmError: Slurm is not installed, or refuses.
    """
    _call("scancel", "--quiet", "--batch", f"--signal={name}", task)


def limits() -> Limits:
    """The cluster's limits on job arrays.

    Raises:
        SlurmError: Slurm is not installed, or does not answer.
    """
    return parse_limits(_call("scontrol", "show", "config"))


def parse_limits(text: str) -> Limits:
    """The limits in the output of `scontrol show config`; Slurm's defaults if they are not listed.

    >>> parse_limits("MaxArraySize            = 1001\\nSchedulerParameters = bf_window=10,max_array_tasks=500")
    Limits(tasks_per_array=500)
    """
    size = re.search(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE)
    tasks = re.search(r"^SchedulerParameters\s*=.*\bmax_array_tasks=(\d+)", text, re.MULTILINE)
    known = [int(match[1]) for match in (size, tasks) if match]
    return Limits(max(1, min(known, default=1001)))


def parse_queue(text: str) -> list[Task]:
    """Tasks in squeue's output; a line such as `12_[3,5-9%2]` gives one for each task that waits.

    >>> [(task.id, task.activity) for task in parse_queue("12_[3,5-6%2]|PENDING|Priority|demo\\n")]
    [('12_3', 'queued'), ('12_5', 'queued'), ('12_6', 'queued')]
    """
    tasks = []
    for line in text.splitlines():
        parts = line.strip().split("|", 3)
        match = _JOB.fullmatch(parts[0])
        if match is not None and len(parts) == 4:
            tasks += [Task(match["job"], index, *parts[1:]) for index in _indices(match)]
    return tasks


def _indices(match: re.Match[str]) -> Iterator[int | None]:
    if match["one"]:
        yield int(match["one"])
    elif not match["many"]:
        yield None
    else:
        for part in match["many"].split("%")[0].split(","):
            if numbers := re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part):
                first, last, step = (int(number) if number else None for number in numbers.groups())
                assert first is not None
                yield from range(first, (first if last is None else last) + 1, step or 1)


def _call(program: str, *arguments: str, timeout: int = 60, variables: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            [program, *arguments],
            env={**_environment(), **(variables or {})},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        raise SlurmError(
            f"{program}: not found, so this machine submits nothing to Slurm; "
            "use a login node, or run here with hydra/launcher=basic"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{program}: no answer in {timeout} s; is the cluster up? Try again later") from None
    if done.returncode:
        raise Refused(f"{program}: {_reason(program, done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


_COMMAND_VARIABLES = ("SQUEUE_", "SCANCEL_", "SBATCH_", "SALLOC_", "SCONTROL_")
"""Variables that act as options of Slurm's commands: a user sets them for commands typed by hand."""

_LOCATION = {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_SACK_SOCKET"}
"""Variables that only say where the cluster is and how to authenticate."""


def _environment() -> dict[str, str]:
    """This process's environment, without options of Slurm's commands and variables of a surrounding job.

    What the user wants of a job is a setting of `hydra.launcher`, so that every job of a sweep gets it.
    """
    of_job = ("SLURM_", "SRUN_") if "SLURM_JOB_ID" in os.environ else ()
    foreign = (*_COMMAND_VARIABLES, *of_job)
    return {k: v for k, v in os.environ.items() if k in _LOCATION or not k.startswith(foreign)}


def _reason(program: str, output: str) -> str:
    """Slurm's error message in one line, without its prefixes.

    >>> _reason("sbatch", "sbatch: error: Batch job submission failed: Invalid qos specification\\n")
    'Batch job submission failed: Invalid qos specification'
    """
    prefix = re.compile(rf"^{re.escape(program)}:\s*(?:(?:error|fatal):\s*)?")
    lines = [prefix.sub("", line.strip()) for line in output.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))
