"""What of a sweep's submissions the scheduler has still to do."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from optical_sweeps.errors import UserError
from optical_sweeps.slurm import slurm_commands as slurm
from optical_sweeps.slurm.submission_plan import FOLDER, PREPARED, Job, Submission, submissions_of

Activity = Literal["queued", "running"]


def tasks_in_queue(submissions: Iterable[Submission]) -> Iterator[tuple[Submission, Job, slurm.Task]]:
    """What of these submissions waits or works, by one call of squeue.

    Raises:
        SlurmError: there is no Slurm, or it does not answer.
    """
    named = {sub.job_name(job): (sub, job) for sub in submissions for job in sub.jobs}
    for task in slurm.queue(list(named)):
        if task.name in named:
            yield (*named[task.name], task)


def runs_in_queue(submissions: Iterable[Submission]) -> dict[str, Activity]:
    """Runs that a task in the queue has still to do; of a task at work the first is `running`.

    Raises:
        SlurmError: there is no Slurm, or it does not answer.
    """
    found: dict[str, Activity] = {}
    for submission, job, task in tasks_in_queue(submissions):
        number = job.first + (task.index or 0)
        if job.role == "prepare" or number >= len(submission.packs):
            continue
        activity = task.activity
        for run in submission.packs[number]:
            if not submission.is_over(run):
                found[run] = "running" if "running" in (activity, found.get(run)) else "queued"
                activity = "queued"
    return found


def problems(sweep: Path) -> list[str]:
    """Lines on what will not mend itself: preparations that failed, tasks that wait for what never comes."""
    if not (sweep / FOLDER).is_dir() or not slurm.is_here():
        return []
    submissions = submissions_of(sweep)
    try:
        queue = list(tasks_in_queue(submissions))
    except UserError as error:
        return [str(error)]
    return [*_failed_preparations(submissions, {sub.folder for sub, _, _ in queue}), *_in_vain(queue)]


def _failed_preparations(submissions: Sequence[Submission], at_work: Collection[Path]) -> Iterator[str]:
    last = {run: sub.folder for sub in submissions for run in sub.runs}
    for sub in submissions:
        job = sub.preparation
        if job is None or job.job is None or sub.folder in at_work or (sub.folder / PREPARED).exists():
            continue
        if left := [run for run in sub.runs if last[run] == sub.folder and not sub.is_over(run)]:
            yield f"preparation failed before {len(left)} of its runs began: see {sub.log_of(job, None)}"


def _in_vain(queue: Iterable[tuple[Submission, Job, slurm.Task]]) -> Iterator[str]:
    reasons: dict[tuple[str, str], int] = {}
    for _, _, task in queue:
        if task.waits_in_vain:
            reasons[task.job, task.reason] = reasons.get((task.job, task.reason), 0) + 1
    for (job, reason), count in reasons.items():
        yield f"{count} of Slurm job {job}'s tasks wait in vain ({reason}): scontrol show job {job} tells more"
