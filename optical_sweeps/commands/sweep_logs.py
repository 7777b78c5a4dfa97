"""`sweep logs`: print the log of a run and why it failed."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from optical_sweeps.commands.arguments import FOLDERS, add_json
from optical_sweeps.console import echo, echo_json
from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.run_logs import RunLogs, follow, is_active, is_submitted, run_logs
from optical_sweeps.terminal_text import message_text


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", type=Path, help=FOLDERS["run"][1].replace("a finished", "a"))
    parser.add_argument("--follow", action="store_true", help="print new lines until the run ends")
    add_json(parser)


def run(folder: Path, follow: bool, as_json: bool) -> None:
    """Print the newest log of a run, and its failure if it failed."""
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
        "files": [str(path) for path in logs.files],
        "log": _text(logs.files[0]) if logs.files else "",
        "failure": folder.failure(),
    }


def _print(folder: RunFolder, logs: RunLogs) -> None:
    failure = folder.failure()
    if not logs.files and not failure:
        pending = f"; its task has not started, and will write {logs.pending}" if logs.pending else ""
        raise UserError(f"{folder.path}: no log yet{pending}")
    if logs.files:
        echo(f"==> {logs.files[0]}")
        echo(_text(logs.files[0]).rstrip("\n"))
    if failure:
        echo(f"==> {folder.failure_path}")
        echo(str(failure.get("traceback") or failure.get("message", "")).rstrip("\n"))


def _follow(folder: RunFolder, logs: RunLogs) -> None:
    if logs.newest is None:
        raise UserError(f"{folder.path}: no log to follow; a local run prints to the terminal that started it")
    echo(f"==> {logs.newest}")
    for text in follow(logs.newest, lambda: not is_active(folder)):
        sys.stdout.write(message_text(text))
        sys.stdout.flush()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
