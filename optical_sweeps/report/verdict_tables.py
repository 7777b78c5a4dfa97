"""Tables of recomputed scores and their verdicts, for the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from optical_sweeps.report.rederived import Cell, Verdict

STYLES: Mapping[Verdict, str] = {"OK": "green", "close": "yellow", "FAIL": "bold red"}
"""Verdicts from best to worst, and their styles."""


def counts_by_verdict(cells: Sequence[Cell]) -> dict[Verdict, int]:
    """How many scores have each verdict."""
    counts = Counter(cell.verdict for cell in cells)
    return {verdict: counts[verdict] for verdict in STYLES if verdict in counts}


def verdict_screen(cells: Sequence[Cell], *, list_all: bool) -> Group:
    """The worst verdict of each run and source, the scores that differ, and the counts.

    Args:
        list_all: also list the scores that are OK.
    """
    listed = [cell for cell in cells if list_all or cell.verdict != "OK"]
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in counts_by_verdict(cells).items())
    tables = [_overview(cells), *([_details(listed)] if listed else [])]
    return Group(*tables, Text(counts or "nothing to verify"))


def _details(cells: Sequence[Cell]) -> Table:
    header = ("", "run", "score", "source", "recomputed", "logged")
    table = Table(*header, box=None, pad_edge=False, header_style="bold")
    for cell in cells:
        table.add_row(
            Text(cell.verdict, style=STYLES[cell.verdict]), Text(cell.label), Text(cell.score),
            Text(cell.beside), _number(cell.derived), Text(cell.note) if cell.note else _number(cell.there),
        )  # fmt: skip
    return table


def _overview(cells: Sequence[Cell]) -> Table:
    """One row per run and one column per source, with the worst verdict of their scores."""
    sources = list(dict.fromkeys(cell.beside for cell in cells))
    cells_of: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        cells_of.setdefault(cell.label, {}).setdefault(cell.beside, []).append(cell)
    table = Table("run", *sources, box=None, pad_edge=False, header_style="bold")
    for label, by_source in cells_of.items():
        table.add_row(Text(label), *(_worst(by_source.get(source, [])) for source in sources))
    return table


def _worst(cells: Sequence[Cell]) -> Text:
    if not cells:
        return Text("")
    worst, count = list(counts_by_verdict(cells).items())[-1]
    total = "" if count == len(cells) else f" of {len(cells)}"
    return Text(f"{worst} {count}{total}", style=STYLES[worst])


def _number(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.4f}")
