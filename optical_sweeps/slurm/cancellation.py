"""Cancelling runs of a sweep in Slurm's queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.submission_plan import submissions_of
from optical_sweeps.slurm.submission_queue import needs_no_preparation, open_runs, tasks_in_queue


@dataclass(frozen=True)
class RunningProcess:
    """A process that works on a run outside the sweep's submissions."""

    run: str
    host: str
    pid: int


@dataclass(frozen=True)
class Cancellation:
    """What was cancelled.

    Args:
        tasks: Slurm tasks of runs that scancel removed.
        preparations: preparation jobs that scancel removed, because no run in the queue needs them any more.
        runs: runs that their tasks skip or interrupt.
        processes: processes that still work on some of the runs; they are not stopped.
    """

    tasks: tuple[str, ...]
    preparations: tuple[str, ...]
    runs: tuple[str, ...]
    processes: tuple[RunningProcess, ...]


def cancel(sweep: Path, runs: Sequence[str]) -> Cancellation:
    """Cancel runs: tasks and preparations with no other run left are removed, other tasks skip these runs.

    Raises:
        SlurmError: Slurm does not answer, or refuses.
    """
    requested = set(runs)
    removed: list[str] = []
    preparations: list[str] = []
    stopped: dict[str, None] = {}
    queue = list(tasks_in_queue(submissions_of(sweep)))
    for submission, job, task in queue:
        if job.role == "prepare":
            continue
        unfinished = open_runs(submission, job, task)
        cancelled = [run for run in unfinished if run in requested]
        if not cancelled:
            continue
        for run in cancelled:
            submission.cancel_run(run)  # before the signal: the worker reads it when the signal arrives
            stopped[run] = None
        if len(cancelled) == len(unfinished):
            removed.append(task.id)
        elif task.activity == "running" and cancelled[0] == unfinished[0]:
            slurm.signal(task.id, "USR2")
    for submission, job, task in queue:  # after the runs were marked as cancelled
        if needs_no_preparation(submission, job, task):
            preparations.append(task.id)
    slurm.cancel([*removed, *preparations])
    processes = _processes(sweep, [run for run in runs if run not in stopped])
    return Cancellation(tuple(removed), tuple(preparations), tuple(stopped), processes)


def _processes(sweep: Path, runs: Sequence[str]) -> tuple[RunningProcess, ...]:
    """The processes that work on these runs, from the runs' folders."""
    folders = {run: RunFolder(sweep / run) for run in runs}
    owners = {run: folder.owner() for run, folder in folders.items() if folder.state() == "running"}
    return tuple(
        RunningProcess(run, str(owner.get("host")), int(owner["pid"]))
        for run, owner in owners.items()
        if "pid" in owner
    )
