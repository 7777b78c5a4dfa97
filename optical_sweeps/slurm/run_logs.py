"""The log files of a run, in Slurm tasks or in its own folder."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.submission import queued_runs
from optical_sweeps.slurm.submission_plan import PREPARED, submissions_of

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class RunLogs:
    """The log files of a run.

    Args:
        files: existing files of Slurm tasks and of the run's folder, the newest attempt first.
        pending: the file that the run's task will write, if that task waits in the queue.
        waits_for: for what the task waits, in words.
        preparation: the log of the preparation for which it waits; it may not exist yet.
    """

    files: tuple[Path, ...]
    pending: Path | None = None
    waits_for: str = ""
    preparation: Path | None = None


def run_logs(folder: RunFolder) -> RunLogs:
    """The log files of a run."""
    sweep, run = folder.path.parent, folder.path.name
    task_files: list[Path] = []
    submissions = [each for each in reversed(submissions_of(sweep)) if each.task_of(run)]
    for submission in submissions:
        task = submission.task_of(run)
        if task and task[0].job:
            task_files.append(submission.log_of(*task))
        if submission.preparation and submission.preparation.job:
            task_files.append(submission.log_of(submission.preparation, None))
    candidates = (*task_files, *sorted(folder.path.glob("*.log")))
    files = tuple(path for path in candidates if path.is_file())
    if not task_files or task_files[0].is_file() or not is_active(folder):
        return RunLogs(files)
    last = submissions[0]
    if (job := last.preparation) and not (last.folder / PREPARED).exists():
        return RunLogs(
            files, task_files[0], f"waits for the preparation, job {job.job}", last.log_of(job, None)
        )
    return RunLogs(files, task_files[0], f"waits in the queue, job {task_files[0].stem}")


def is_submitted(folder: RunFolder) -> bool:
    """Whether a submission of the sweep contains the run."""
    return any(sub.task_of(folder.path.name) for sub in submissions_of(folder.path.parent))


def is_active(folder: RunFolder) -> bool:
    """Whether the run is running, or a task in the queue still has to do it."""
    if folder.record_path.exists():
        return False
    return folder.state() == "running" or folder.path.name in queued_runs(folder.path.parent)


def follow(
    path: Path, has_ended: Callable[[], bool], sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Yield the text of a file as it grows, until `has_ended` and nothing new was written."""
    position = 0
    while True:
        ended = has_ended()  # before reading: the next read sees what was written before the end
        if path.is_file():
            with path.open("rb") as file:
                file.seek(position)
                content = file.read()
            position += len(content)
            if content:
                yield content.decode(errors="replace")
                continue
        if ended:
            return
        sleep(POLL_SECONDS)
