"""`sweep status`: show the state of every run of a sweep, from its folders and the scheduler."""

import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import RenderableType
from rich.live import Live

from optical_sweeps.commands.arguments import add_sweep
from optical_sweeps.console import PlainTexts, echo, echo_json, terminal
from optical_sweeps.runs.run_folder import State
from optical_sweeps.slurm.submission_queue import problems
from optical_sweeps.sweeps.grid import ORDER, Grid, describe
from optical_sweeps.sweeps.status_screen import run_status, status_screen

SECONDS = 2.0
"""Between two updates with `--watch`."""
SECONDS_IN_QUEUE = 10.0
"""Between two updates that query Slurm's controller, which all users share."""


def add_arguments(parser: ArgumentParser) -> None:
    add_sweep(parser)
    parser.add_argument("--all", action="store_true", dest="list_all", help="list every run of a large sweep")
    parser.add_argument("--map", action="store_true", dest="only_map", help="show a map of two axes instead")
    parser.add_argument("--watch", action="store_true", help="update until every run is done or failed")


def run(sweep: Path, list_all: bool, only_map: bool, watch: bool, as_json: bool) -> None:
    """Print the states of a sweep's runs, once or until the sweep is finished."""
    console = terminal()

    def screen(grid: Grid, states: Mapping[str, State]) -> RenderableType:
        lines, width = problems(grid.folder), console.width
        return status_screen(grid, states, lines, width, list_all=list_all, only_map=only_map)

    grid = Grid.load(sweep)
    if as_json:
        echo_json(_facts(grid, grid.states()))
    elif not watch:
        console.print(screen(grid, grid.states()), soft_wrap=True)
    elif not console.is_terminal:
        _print_changes(sweep)
    else:
        with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            for grid, states in _watched(sweep):
                live.update(PlainTexts(screen(grid, states)), refresh=True)


def _print_changes(sweep: Path) -> None:
    """Print the counts whenever they change."""
    previous = ""
    for _, states in _watched(sweep):
        if (counts := describe(states)) != previous:
            echo(f"{time.strftime('%H:%M:%S')} {counts}")
        previous = counts


def _watched(sweep: Path) -> Iterator[tuple[Grid, Mapping[str, State]]]:
    """The grid and its states, again and again until every run is done or failed."""
    while True:
        grid = Grid.load(sweep)
        states = grid.states()
        yield grid, states
        if all(state in ("done", "failed") for state in states.values()):
            return
        time.sleep(SECONDS_IN_QUEUE if grid.was_submitted else SECONDS)


def _facts(grid: Grid, states: Mapping[str, State]) -> dict[str, object]:
    counts = Counter(states.values())
    return {
        "sweep": str(grid.folder),
        "points": len(grid.points),
        "counts": {state: counts[state] for state in ORDER if counts[state]},
        "problems": problems(grid.folder),
        "runs": [asdict(run_status(grid, run, states[run], with_score=False)) for run in grid.runs],
    }
