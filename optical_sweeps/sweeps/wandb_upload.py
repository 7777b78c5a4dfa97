"""Upload of a sweep's offline W&B logs with W&B's own client."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.console import progress
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.tracking.client_environment import without_other_runs
from optical_sweeps.tracking.wandb_run import UNSENT

OFFLINE = "offline-"
"""Prefix of the folders that W&B's client writes offline."""

BATCH_SIZE = 20
"""Runs uploaded by one call of W&B's client, which takes seconds to start."""

Client = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class UploadResult:
    """The outcome for each finished run.

    Args:
        skipped: runs that were uploaded before.
        without: runs without an offline log: logged online, or not at all.
        failed: the client's message for each run that was not uploaded.
    """

    uploaded: tuple[str, ...]
    skipped: tuple[str, ...]
    without: tuple[str, ...]
    failed: dict[str, str]


def upload(grid: Grid, client: Client | None = None) -> UploadResult:
    """Upload the offline folders of finished runs, in batches.

    A run counts as uploaded when the client has marked all of its folders.

    Raises:
        UserError: a run has to be uploaded, and its folder cannot be written, or W&B is not installed, does not
            answer or refuses the key.
    """
    finished = [run for run, state in grid.states().items() if state == "done"]
    folders = {run: offline_folders(grid.folder / run) for run in finished}
    pending = [run for run in finished if any(not is_synced(folder) for folder in folders[run])]
    for folder in (folder for run in pending for folder in folders[run]):
        if not os.access(folder, os.W_OK):
            raise UserError(
                f"{folder}: you cannot write there, where W&B's client marks what it has uploaded; let the "
                "owner of the sweep upload it"
            )
    if pending and client is None:
        _require_wandb()
    client = client or _wandb
    uploaded: list[str] = []
    failed: dict[str, str] = {}
    with progress("uploading") as advance:
        for first in range(0, len(pending), BATCH_SIZE):
            advance(first, len(pending))
            batch = pending[first : first + BATCH_SIZE]
            process = client(sync_arguments([folder for run in batch for folder in folders[run]]))
            for run in batch:
                if all(map(is_synced, folders[run])):
                    uploaded.append(run)
                else:
                    failed[run] = _last_line(process)
    return UploadResult(
        uploaded=tuple(uploaded),
        skipped=tuple(run for run in finished if folders[run] and run not in pending),
        without=tuple(run for run in finished if not folders[run]),
        failed=failed,
    )


def offline_folders(run: Path) -> list[Path]:
    """The folders of a run's attempts that W&B's server does not have completely, the oldest first.

    These are offline attempts, and online attempts that lost the connection to the server.
    """
    unsent = (path for path in run.glob("wandb/run-*") if (path / UNSENT).exists())
    logs = [path for path in (*run.glob("wandb/offline-run-*"), *unsent) if any(path.glob("*.wandb"))]
    return sorted(logs, key=lambda path: path.name.removeprefix(OFFLINE))


def is_synced(folder: Path) -> bool:
    """Whether W&B's client has marked the folder's log as uploaded."""
    return any(folder.glob("*.wandb.synced"))


def sync_arguments(folders: Sequence[Path]) -> list[str]:
    """The arguments of `wandb sync` for these folders; it skips folders that it marked before.

    All folders of a run go into one call, because the client orders the attempts of a run by their start.
    """
    has_online = any(not folder.name.startswith(OFFLINE) for folder in folders)
    return ["sync", *(["--include-online"] if has_online else []), *(str(folder) for folder in folders)]


def _require_wandb() -> None:
    """Check the server first: `wandb sync` repeats requests to an unreachable server for hours."""
    from importlib.util import find_spec

    if find_spec("wandb") is None:
        raise UserError("sweep sync: W&B's client is not installed; pip install wandb")
    from optical_sweeps.tracking.wandb_api import require_service

    require_service()


def _wandb(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "wandb", *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=without_other_runs(os.environ),
        check=False,
    )


def _last_line(process: "subprocess.CompletedProcess[str]") -> str:
    """The last line of the client's output."""
    lines = [line.strip() for line in f"{process.stdout}\n{process.stderr}".splitlines() if line.strip()]
    return lines[-1] if lines else f"wandb sync ended with exit code {process.returncode} and no output"
