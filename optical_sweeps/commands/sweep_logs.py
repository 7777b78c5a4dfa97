"""`sweep logs`: print the log of a run and why it failed."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

from optical_sweeps.commands.arguments import FOLDERS, add_json
from optical_sweeps.console import echo, echo_json
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.run_logs import RunLogs, follow, is_active, is_submitted, run_logs
from optical_sweeps.sweeps.grid import GRID_FILE
from optical_sweeps.terminal_text import message_text


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", type=Path, help=FOLDERS["run"][1].replace("a finished", "a"))
    parser.add_argument("--follow", action="store_true", help="print new lines until the run ends")
    add_json(parser)


def run(folder: Path, follow: bool, as_json: bool) -> None:
    """Print the newest log of a run, and its failure if it failed."""
    if (folder / GRID_FILE).is_file():
        raise UserError(f"{folder}: a sweep; name one of its runs, which sweep status {folder} lists")
    run_folder = RunFolder(folder)
    if not folder.is_dir() and not is_submitted(run_folder):
        raise UserError(f"{folder}: no such run; name a run's folder, such as multirun/demo/0123456789ab")
    logs = run_logs(run_folder)
    if as_json:
        echo_json(_facts(run_folder, logs))
    elif follow:
        _follow(run_folder, logs)
    else:
        _print(run_folder, logs)


def _facts(folder: RunFolder, logs: RunLogs) -> dict[str, object]:
    return {
        "run": folder.path.name,
        "state": folder.state(),
        "pending": logs.waits_for or None,
        "files": [str(path) for path in logs.files],
        "log": _text(logs.files[0]) if logs.files else "",
        "failure": folder.failure(),
    }


def _print(folder: RunFolder, logs: RunLogs) -> None:
    failure = folder.failure()
    if not logs.files and not failure and not logs.pending:
        raise UserError(f"{folder.path}: no log yet")
    _print_pending(logs)
    if logs.files:
        echo(f"==> {logs.files[0]}")
        echo(_text(logs.files[0]).rstrip("\n"))
    if failure:
        echo(f"==> {folder.failure_path}")
        echo(str(failure.get("traceback") or failure.get("message", "")).rstrip("\n"))


def _follow(folder: RunFolder, logs: RunLogs) -> None:
    if not logs.files and not logs.pending:
        raise UserError(f"{folder.path}: no log to follow; a local run prints to the terminal that started it")
    _print_pending(logs)
    if (pending := logs.pending) is None:
        _print_growing(logs.files[0], lambda: not is_active(folder))
        return
    if before := logs.preparation or next(iter(logs.files), None):
        _print_growing(before, lambda: pending.is_file() or not is_active(folder))
    if pending.is_file() or is_active(folder):
        _print_growing(pending, lambda: not is_active(folder))


def _print_pending(logs: RunLogs) -> None:
    if logs.pending:
        echo(f"pending: {logs.waits_for}")


def _print_growing(path: Path, has_ended: Callable[[], bool]) -> None:
    echo(f"==> {path}")
    for text in follow(path, has_ended):
        sys.stdout.write(message_text(text))
        sys.stdout.flush()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
