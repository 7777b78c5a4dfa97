"""`sweep sync`: upload the finished runs that W&B logged offline."""

from dataclasses import asdict
from pathlib import Path

from optical_sweeps.commands.arguments import add_sweep
from optical_sweeps.console import echo, echo_json
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.terminal_text import count_text

add_arguments = add_sweep


def run(sweep: Path, as_json: bool) -> None:
    """Upload, and print the outcome; the exit code is 1 if a run could not be uploaded."""
    from optical_sweeps.sweeps.wandb_upload import upload

    result = upload(Grid.load(sweep))
    if as_json:
        echo_json({"sweep": str(sweep), **asdict(result)})
    else:
        echo(
            f"{count_text(len(result.uploaded), 'run')} uploaded, {len(result.skipped):,} before, "
            f"{len(result.without):,} without an offline log, {len(result.failed):,} failed"
        )
        for name, message in result.failed.items():
            echo(f"  failed: {name}: {message}")
    if result.failed:
        raise SystemExit(1)
