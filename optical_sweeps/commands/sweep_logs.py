"""`sweep logs RUN`: what a run said, wherever it ran: in a task of Slurm or in a process here."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.submission_plan import submissions_of
from optical_sweeps.slurm.submission_queue import runs_in_queue

EXAMPLE = "multirun/demo/0123456789ab"
LOOK = 0.5
"""Seconds between two looks at a file that is followed."""


@dataclass(frozen=True)
class Logs:
    """Files that tell of a run, the newest attempt's first.

    Args:
        files: of Slurm's tasks, and of the run's own folder; those that are there.
        waits_for: the newest task's file where that task has not begun; None otherwise.
    """

    run: str
    files: tuple[Path, ...]
    waits_for: Path | None


def run(arguments: list[str]) -> None:
    """Print a run's newest log, and why it failed if it did."""
    given = read("sweep logs", arguments, flags=("follow",))
    folder = _folder(given.words)
    logs = logs_of(folder)
    if given.json:
        newest = logs.files[0] if logs.files else None
        files = [str(path) for path in logs.files]
        text = _text(newest) if newest else ""
        state, failure = folder.state(), folder.failure()
        echo(json.dumps({"run": logs.run, "state": state, "files": files, "log": text, "failure": failure}))
    elif "follow" in given.flags:
        _follow(folder, logs)
    else:
        _print(folder, logs)


def logs_of(folder: RunFolder) -> Logs:
    """The files that tell of a run."""
    sweep, name = folder.path.parent, folder.path.name
    of_tasks: list[Path] = []
    for submission in reversed(submissions_of(sweep)):
        place = submission.task_of(name)
        if place and place[0].job:
            of_tasks.append(submission.log_of(*place))
        if submission.preparation and submission.preparation.job and place:
            of_tasks.append(submission.log_of(submission.preparation, None))
    own = sorted(folder.path.glob("*.log"))
    begun = tuple(path for path in (*of_tasks, *own) if path.is_file())
    return Logs(name, begun, of_tasks[0] if of_tasks and not of_tasks[0].is_file() else None)


def follow(path: Path, ended: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """A file's text as it grows, until nothing came between two looks and `ended`."""
    place = 0
    while True:
        over = ended()  # asked before the look: what is written after it is met by the next one
        if path.is_file():
            with path.open("rb") as file:
                file.seek(place)
                more = file.read()
            place += len(more)
            if more:
                yield more.decode(errors="replace")
                continue
        if over:
            return
        sleep(LOOK)


def _print(folder: RunFolder, logs: Logs) -> None:
    failure = folder.failure()
    if not logs.files and not failure:
        waits = f"; its task has not begun, and will write {logs.waits_for}" if logs.waits_for else ""
        raise UserError(f"{folder.path}: no log yet{waits}")
    for path in logs.files[:1]:
        echo(f"==> {path}")
        echo(_text(path).rstrip("\n"))
    if failure:
        echo(f"==> {folder.failure_path}")
        echo(str(failure.get("traceback") or failure.get("message", "")).rstrip("\n"))


def _follow(folder: RunFolder, logs: Logs) -> None:
    path = logs.waits_for or (logs.files[0] if logs.files else None)
    if path is None:
        raise UserError(f"{folder.path}: no log to follow; a run here writes to the terminal that started it")
    echo(f"==> {path}")
    for text in follow(path, lambda: not _goes_on(folder)):
        sys.stdout.write(text)
        sys.stdout.flush()


def _goes_on(folder: RunFolder) -> bool:
    if folder.record_path.exists():
        return False
    return folder.state() == "running" or folder.path.name in runs_in_queue(submissions_of(folder.path.parent))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _folder(words: Sequence[str]) -> RunFolder:
    if len(words) != 1:
        raise UserError(f"sweep logs: name one run's folder, such as {EXAMPLE}")
    path = Path(words[0])
    if not path.is_dir() and not any(sub.task_of(path.name) for sub in submissions_of(path.parent)):
        raise UserError(f"{path}: no such run; name a run's folder, such as {EXAMPLE}")
    return RunFolder(path)
