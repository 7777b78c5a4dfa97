"""`sweep cancel`: remove a sweep's runs from Slurm's queue, and list processes that work on them elsewhere."""

import socket
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path

from optical_sweeps.commands.arguments import add_sweep
from optical_sweeps.console import echo, echo_json
from optical_sweeps.errors import UserError
from optical_sweeps.slurm.cancellation import cancel
from optical_sweeps.sweeps.grid import Grid


def add_arguments(parser: ArgumentParser) -> None:
    add_sweep(parser)
    parser.add_argument(
        "--run", action="append", default=[], metavar="ID", dest="runs", help="a run; repeatable"
    )


def run(sweep: Path, runs: list[str], as_json: bool) -> None:
    """Cancel all runs of a sweep, or the given ones."""
    grid = Grid.load(sweep)
    for run in runs:
        if run not in grid.runs:
            raise UserError(f"{sweep}: no run {run}; optical-sweeps sweep status {sweep} lists the runs")
    cancellation = cancel(sweep, runs or list(grid.runs))
    if as_json:
        echo_json(asdict(cancellation))
        return
    labels = grid.labels()
    for run in cancellation.runs:
        echo(f"cancelled: {run} {labels.get(run, '')}".rstrip())
    if cancellation.tasks:
        echo(f"Slurm tasks cancelled: {' '.join(cancellation.tasks)}")
    for job in cancellation.preparations:
        echo(f"preparation cancelled: Slurm job {job}, which no run in the queue needs any more")
    for process in cancellation.processes:
        place = "" if process.host == socket.gethostname() else f"on {process.host}: "
        echo(f"{process.run} is running outside Slurm; to stop it, {place}kill {process.pid}")
    if not (cancellation.runs or cancellation.preparations or cancellation.processes):
        echo("nothing to cancel: no run is queued or running")
