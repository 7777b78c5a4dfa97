"""`verify`: a sweep's scores, derived again from run files and judgements, beside what was logged.

Or, with `--expected`, beside the scores that a file says a study should have.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo, progress
from optical_sweeps.report.expected import check_expected, read_expected
from optical_sweeps.report.rederived import Cell, check_logged
from optical_sweeps.report.sweep_runs import read_runs
from optical_sweeps.sweeps.grid import Grid

HELP = """\
optical-sweeps verify SWEEP [--expected FILE] [--all] [--json]

Every score of a sweep, computed again from runs/*.trec.gz and the collections' judgements, beside what
record.json, per_query.parquet and W&B's offline log say. Each is OK, close or FAIL; with a FAIL the exit code
is 1.
  --expected FILE   beside the scores that the file says the study should have, in place of the logs
  --all             list every score, not only those that differ"""
STYLES = {"OK": "green", "close": "yellow", "FAIL": "bold red"}


def run(arguments: list[str]) -> None:
    """Check, print a table, and leave with 1 where a score does not hold."""
    if {"-h", "--help"} & set(arguments):
        echo(HELP)
        return
    given = read("verify", arguments, flags=("all",), options=("expected",))
    grid = Grid.load(given.sweep())
    file = given.one("expected")
    if file is not None:
        cells = check_expected(read_expected(Path(file)), read_runs(grid))
    else:
        with progress("verify") as advance:
            cells = check_logged(grid, warn=echo, progress=advance)
    if given.json:
        echo(
            json.dumps(
                {"sweep": str(grid.folder), "counts": _counts(cells), "cells": [c.as_dict() for c in cells]}
            )
        )
    else:
        _show(cells, everything="all" in given.flags)
    if any(cell.verdict == "FAIL" for cell in cells):
        _fail()


def _show(cells: Sequence[Cell], *, everything: bool) -> None:
    console = Console()
    console.print(_overview(cells))
    listed = [cell for cell in cells if everything or cell.verdict != "OK"]
    if listed:
        table = Table(
            "", "run", "score", "beside", "derived", "there", box=None, pad_edge=False, header_style="bold"
        )
        for cell in listed:
            table.add_row(
                Text(cell.verdict, style=STYLES[cell.verdict]), Text(cell.label), Text(cell.score),
                Text(cell.beside), _number(cell.derived), Text(cell.note) if cell.note else _number(cell.there),
            )  # fmt: skip
        console.print(table, soft_wrap=True)
    counts = _counts(cells)
    echo(
        ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in STYLES if verdict in counts)
        or "nothing to verify"
    )


def _overview(cells: Sequence[Cell]) -> Table:
    """A row a run, a column for what it is held against, and the worst verdict of its scores there."""
    columns = list(dict.fromkeys(cell.beside for cell in cells))
    found: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        found.setdefault(cell.label, {}).setdefault(cell.beside, []).append(cell)
    table = Table("run", *columns, box=None, pad_edge=False, header_style="bold")
    for label, by_column in found.items():
        table.add_row(Text(label), *(_worst(by_column.get(column, [])) for column in columns))
    return table


def _worst(cells: Sequence[Cell]) -> Text:
    if not cells:
        return Text("")
    worst = next(verdict for verdict in reversed(STYLES) if any(cell.verdict == verdict for cell in cells))
    count = sum(cell.verdict == worst for cell in cells)
    return Text(
        f"{worst} {count}" if count == len(cells) else f"{worst} {count} of {len(cells)}", style=STYLES[worst]
    )


def _counts(cells: Sequence[Cell]) -> Mapping[str, int]:
    return dict(Counter(cell.verdict for cell in cells))


def _number(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.4f}")


def _fail() -> NoReturn:
    raise SystemExit(1)
