"""`verify`: recompute a sweep's scores, and compare them with its logs or with expected scores."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from optical_sweeps.commands.arguments import add_sweep, add_trust
from optical_sweeps.config_classes import allow_foreign_classes
from optical_sweeps.console import echo, echo_json, progress, terminal


def add_arguments(parser: ArgumentParser) -> None:
    add_sweep(parser)
    add_trust(parser)
    parser.add_argument(
        "--expected",
        metavar="FILE",
        type=Path,
        help="compare with the expected scores of this file instead of the logs",
    )
    parser.add_argument("--all", action="store_true", dest="list_all", help="also list the scores that agree")


def run(sweep: Path, expected: Path | None, list_all: bool, as_json: bool, classes: Sequence[str] = ()) -> None:
    """Compare, and print a table; the exit code is 1 if a score differs."""
    with progress("loading"):
        from optical_sweeps.report.expected import check_expected, read_expected
        from optical_sweeps.report.rederived import check_logged
        from optical_sweeps.report.sweep_runs import read_runs
        from optical_sweeps.report.verdict_tables import counts_by_verdict, verdict_screen
        from optical_sweeps.sweeps.grid import Grid

    allow_foreign_classes(list(classes))
    grid = Grid.load(sweep)
    if expected is not None:
        cells = check_expected(read_expected(expected), read_runs(grid))
    else:
        with progress("verify") as advance:
            cells = check_logged(grid, warn=echo, progress=advance)
    counts = counts_by_verdict(cells)
    if as_json:
        facts = {"sweep": str(grid.folder), "counts": counts, "cells": [cell.as_dict() for cell in cells]}
        echo_json(facts)
    else:
        terminal().print(verdict_screen(cells, list_all=list_all), soft_wrap=True)
    if "FAIL" in counts:
        raise SystemExit(1)
