"""`sweep sync`: upload the finished runs whose logs are on disk alone, with W&B's own client."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.tracking.wandb_run import UNSENT

OFFLINE = "offline-"
"""How the client's folders of offline attempts begin."""

TOGETHER = 20
"""Runs that one call of W&B's client uploads: its start takes seconds."""

Client = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Synced:
    """What became of the finished runs.

    Args:
        skipped: were uploaded before.
        without: have no offline log: logged online, or not at all.
        failed: by run, what the client said.
    """

    uploaded: tuple[str, ...]
    skipped: tuple[str, ...]
    without: tuple[str, ...]
    failed: dict[str, str]


def run(arguments: list[str]) -> None:
    """Upload, and say what came of it."""
    given = read("sweep sync", arguments)
    done = sync(Grid.load(given.sweep()))
    if given.json:
        echo(json.dumps({"sweep": str(given.sweep()), **asdict(done)}))
    else:
        echo(
            f"{len(done.uploaded):,} runs uploaded, {len(done.skipped):,} before, "
            f"{len(done.without):,} without an offline log, {len(done.failed):,} failed"
        )
        for name, why in done.failed.items():
            echo(f"  failed: {name}: {why}")
    if done.failed:
        raise SystemExit(1)


def sync(grid: Grid, client: Client | None = None) -> Synced:
    """Hand the finished runs' offline folders to the client, some runs at a time.

    A run is uploaded when the client has marked all of its folders.

    Raises:
        UserError: something waits, and W&B is not installed, does not answer or refuses the key.
    """
    finished = [run for run, state in grid.states().items() if state == "done"]
    folders = {run: offline_folders(grid.folder / run) for run in finished}
    waiting = [run for run in finished if any(not is_synced(folder) for folder in folders[run])]
    if waiting and client is None:
        _require_wandb()
    client = client or _wandb
    uploaded: list[str] = []
    failed: dict[str, str] = {}
    with progress("uploading") as advance:
        for first in range(0, len(waiting), TOGETHER):
            advance(first, len(waiting))
            batch = waiting[first : first + TOGETHER]
            ended = client(sync_arguments([folder for run in batch for folder in folders[run]]))
            for run in batch:
                if all(map(is_synced, folders[run])):
                    uploaded.append(run)
                else:
                    failed[run] = _said(ended)
    return Synced(
        uploaded=tuple(uploaded),
        skipped=tuple(run for run in finished if folders[run] and run not in waiting),
        without=tuple(run for run in finished if not folders[run]),
        failed=failed,
    )


def offline_folders(run: Path) -> list[Path]:
    """A run's logs that are on disk alone, one of each attempt, the oldest first.

    Offline ones, and those of attempts that began online and lost the server.
    """
    cut = (path for path in run.glob("wandb/run-*") if (path / UNSENT).exists())
    logs = [path for path in (*run.glob("wandb/offline-run-*"), *cut) if any(path.glob("*.wandb"))]
    return sorted(logs, key=lambda path: path.name.removeprefix(OFFLINE))


def is_synced(folder: Path) -> bool:
    """Whether W&B's client has marked the folder's log as uploaded."""
    return any(folder.glob("*.wandb.synced"))


def sync_arguments(folders: Sequence[Path]) -> list[str]:
    """Of `wandb sync`; folders that it marked are passed over by itself.

    All folders of a run go together, since the client orders the attempts of one run by their start.
    """
    online = any(not folder.name.startswith(OFFLINE) for folder in folders)
    return ["sync", *(["--include-online"] if online else []), *(str(folder) for folder in folders)]


def _require_wandb() -> None:
    """`wandb sync` would repeat its requests to a server that is down for hours."""
    from importlib.util import find_spec

    if find_spec("wandb") is None:
        raise UserError("sweep sync: W&B's client is not installed; pip install wandb")
    from optical_sweeps.tracking.wandb_api import require_service

    require_service()


def _wandb(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "wandb", *arguments], capture_output=True, text=True, check=False
    )


def _said(ended: "subprocess.CompletedProcess[str]") -> str:
    """The last thing the client said, in one line."""
    lines = [line.strip() for line in f"{ended.stdout}\n{ended.stderr}".splitlines() if line.strip()]
    return lines[-1] if lines else f"wandb sync ended with exit code {ended.returncode} and said nothing"
