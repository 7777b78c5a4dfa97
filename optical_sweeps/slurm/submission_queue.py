"""What Slurm has still to do of a sweep's submissions."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from optical_sweeps.errors import UserError
from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.submission_plan import (
    FOLDER,
    PREPARED,
    Job,
    Submission,
    remedy,
    short,
    submissions_of,
)

Activity = Literal["queued", "running"]


def tasks_in_queue(submissions: Iterable[Submission]) -> Iterator[tuple[Submission, Job, slurm.Task]]:
    """The tasks of these submissions that wait or run, by one call of squeue.

    Raises:
        SlurmError: Slurm is not installed, or does not answer.
    """
    named = {
        submission.job_name(job): (submission, job) for submission in submissions for job in submission.jobs
    }
    for task in slurm.queue(list(named)):
        if task.name in named:
            yield (*named[task.name], task)


def runs_in_queue(submissions: Iterable[Submission]) -> dict[str, Activity]:
    """The runs that a task in the queue has still to do; the first one of a running task is `running`.

    Raises:
        SlurmError: Slurm is not installed, or does not answer.
    """
    activities: dict[str, Activity] = {}
    for submission, job, task in tasks_in_queue(submissions):
        activity = task.activity
        for run in open_runs(submission, job, task) if job.role == "array" else ():
            activities[run] = "running" if "running" in (activity, activities.get(run)) else "queued"
            activity = "queued"
    return activities


def open_runs(submission: Submission, job: Job, task: slurm.Task) -> list[str]:
    """The runs that a task has still to do; of the preparation, those that wait for it."""
    if job.role == "prepare":
        return [run for run in submission.runs if not submission.is_over(run)]
    number = job.first + (task.index or 0)
    runs = submission.packs[number] if number < len(submission.packs) else ()
    # a task that waits, also one that was requeued, performs its pack from the start
    left = submission.left_runs(number) if task.activity == "running" else frozenset()
    return [run for run in runs if run not in left and not submission.is_over(run)]


def needs_no_preparation(submission: Submission, job: Job, task: slurm.Task) -> bool:
    """Whether the task is a preparation for which no run waits any more, as after `sweep cancel`."""
    return job.role == "prepare" and task.state != "COMPLETING" and not open_runs(submission, job, task)


def problems(sweep: Path) -> list[str]:
    """Lines on what needs the user's action: preparations that failed or that no run needs, and tasks that
    Slurm will never start."""
    if not (sweep / FOLDER).is_dir() or not slurm.is_here():
        return []
    submissions = submissions_of(sweep)
    try:
        queue = list(tasks_in_queue(submissions))
    except UserError as error:
        return [str(error)]
    active = {submission.folder for submission, _, _ in queue}
    lines = (*_failed_preparations(submissions, active), *_needless_preparations(queue))
    return [*lines, *_never_starting(queue)]


def _failed_preparations(submissions: Sequence[Submission], active: Collection[Path]) -> Iterator[str]:
    last = {run: submission.folder for submission in submissions for run in submission.runs}
    for submission in submissions:
        folder, job = submission.folder, submission.preparation
        if job is None or job.job is None or folder in active or (folder / PREPARED).exists():
            continue
        if runs := [run for run in submission.runs if last[run] == folder and not submission.is_over(run)]:
            yield f"preparation failed before {len(runs)} of its runs began: see {submission.log_of(job, None)}"


def _needless_preparations(queue: Iterable[tuple[Submission, Job, slurm.Task]]) -> Iterator[str]:
    for submission, job, task in queue:
        if needs_no_preparation(submission, job, task):
            yield (
                f"preparation {task.activity}: Slurm job {task.id}, which no run in the queue needs; "
                f"optical-sweeps sweep cancel {short(submission.sweep)} ends it"
            )


def _never_starting(queue: Iterable[tuple[Submission, Job, slurm.Task]]) -> Iterator[str]:
    stuck: dict[tuple[str, str], list[tuple[Submission, Job, slurm.Task]]] = {}
    for submission, job, task in queue:
        if task.never_starts:
            stuck.setdefault((task.job, task.reason), []).append((submission, job, task))
    for (number, reason), tasks in stuck.items():
        submission, job, task = tasks[0]
        if task.is_held:
            action = f"start them with scontrol release {number}"
        else:
            action = (
                f"requested: {submission.settings_of(job).placement}; {remedy(job)}, then "
                f"optical-sweeps sweep cancel {short(submission.sweep)}, and submit again"
            )
        yield f"{len(tasks)} of Slurm job {number}'s tasks will never start ({reason}): {action}"
