"""`status`: what of a sweep is done, running, failed, stopped and missing, read from its folders."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from optical_sweeps.console import say
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.plan import Grid, describe


def run(arguments: list[str]) -> None:
    """Print a table of a sweep's runs."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError("status: name one sweep folder, for example: optical-sweeps status multirun/demo")
    grid = Grid.load(Path(arguments[0]))
    states = grid.states()
    table = Table("run", "state", "point", box=None)
    for run_id, label in grid.labels().items():
        table.add_row(run_id, states[run_id], label)
    Console().print(table)
    say(describe(states))
