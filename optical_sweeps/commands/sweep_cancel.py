"""`sweep cancel`: take a sweep's runs out of the queue; of those at work elsewhere, say where."""

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.submission_plan import Job, Submission, submissions_of
from optical_sweeps.slurm.submission_queue import tasks_in_queue
from optical_sweeps.sweeps.grid import Grid


@dataclass(frozen=True)
class Process:
    """Somebody who works on a run outside Slurm, or in a job that is no submission's."""

    run: str
    host: str
    pid: int


@dataclass(frozen=True)
class Cancelled:
    """What was done.

    Args:
        tasks: of Slurm, as scancel took them.
        runs: that their tasks will now pass over, or break off.
        processes: that were left alone: whose they are is not for us to know.
    """

    tasks: tuple[str, ...]
    runs: tuple[str, ...]
    processes: tuple[Process, ...]


def run(arguments: list[str]) -> None:
    """Cancel a whole sweep, or some of its runs."""
    given = read("sweep cancel", arguments, options=("run",))
    sweep, runs = given.sweep(), given.options.get("run", ())
    grid = Grid.load(sweep)
    for each in runs:
        if each not in grid.runs:
            raise UserError(
                f"{sweep}: run {each} is not of this sweep; see optical-sweeps sweep status {sweep}"
            )
    done = cancel(sweep, runs or list(grid.runs))
    if given.json:
        echo(json.dumps(asdict(done)))
        return
    labels = grid.labels()
    for each in done.runs:
        echo(f"cancelled: {each} {labels.get(each, '')}".rstrip())
    if done.tasks:
        echo(f"Slurm tasks cancelled: {' '.join(done.tasks)}")
    for process in done.processes:
        there = "" if process.host == socket.gethostname() else f"on {process.host}: "
        echo(f"{process.run} is at work outside Slurm; to end it, {there}kill {process.pid}")
    if not done.runs and not done.processes:
        echo("nothing to cancel: no run is queued or running")


def cancel(sweep: Path, runs: Sequence[str]) -> Cancelled:
    """Cancel every task that has none but these runs still to do; in others, have these runs passed over.

    Raises:
        SlurmError: Slurm does not answer or refuses.
    """
    submissions = submissions_of(sweep)
    tasks = list(tasks_in_queue(submissions))
    asked = set(runs)
    whole: list[str] = []
    stopped: dict[str, None] = {}
    for submission, job, task in tasks:
        left = _left(submission, job, task)
        ours = [each for each in left if each in asked]
        if not ours:
            continue
        for each in ours if job.role == "array" else ():
            submission.cancel_run(each)  # before the signal, so that the worker knows what it means
            stopped[each] = None
        if len(ours) == len(left):
            whole.append(task.id)
        elif job.role == "array" and task.activity == "running" and ours[0] == left[0]:
            slurm.signal(task.id, "USR2")
    slurm.cancel(whole)
    return Cancelled(tuple(whole), tuple(stopped), _processes(sweep, [r for r in runs if r not in stopped]))


def _left(submission: Submission, job: Job, task: slurm.Task) -> list[str]:
    """Runs that a task has still to do; of the preparation, those that wait for it."""
    if job.role == "prepare":
        return [each for each in submission.runs if not submission.is_over(each)]
    number = job.first + (task.index or 0)
    pack = submission.packs[number] if number < len(submission.packs) else ()
    return [each for each in pack if not submission.is_over(each)]


def _processes(sweep: Path, runs: Sequence[str]) -> tuple[Process, ...]:
    """Who works on these runs, by their folders."""
    grid = Grid.load(sweep)
    found = []
    for each in runs:
        owner = grid.runs[each].owner() if grid.runs[each].state() == "running" else {}
        if "pid" in owner:
            found.append(Process(each, str(owner.get("host")), int(owner["pid"])))
    return tuple(found)
