"""A study's results as a compact table: for the terminal, and in Markdown.

Rows are objectives and values of x; columns are groups and languages; a cell is the mean over seeds and
queries and the half-width of its interval, both in points (hundredths), such as `41.2 ±1.3`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.curves.tables.paper_table import PaperTable, plain_cell
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

Cells = list[str]


def markdown_table(study: Study) -> str:
    """All groups and languages in one Markdown table."""
    header, *rows = _rows(study, study.slices)
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows)) + "\n"


def terminal_table(study: Study, width: int = 80) -> "Group":
    """Groups and languages for the terminal: in one table where `width` columns suffice, else in several."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    tables = []
    for slices in _pages(study, width):
        header, *rows = _rows(study, slices)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column(header[0], no_wrap=True)
        for name in header[1:]:
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        tables.append(table)
    confidence = f"{study.confidence:.0%}"
    caption = (
        f"{study.measure} x 100, {study.split}; ± half of the {confidence} interval over queries and seeds"
    )
    return Group(Text(caption, style="dim"), *(part for table in tables for part in (Text(""), table)))


def results_table(study: Study) -> PaperTable:
    """The same for papers: groups, and in CSV groups and languages with their intervals."""
    groups = [slice for slice in study.slices if slice.startswith("group:")] or study.slices
    header, *rows = _rows(study, groups)
    caption = (
        f"{study.measure} x 100 on {study.split}; ± half of the {study.confidence:.0%} interval over queries "
        "and seeds."
    )
    return PaperTable(tuple(header), tuple(tuple(row) for row in rows), 1, caption, tuple(_records(study)))


def terminal_paper_table(table: PaperTable) -> "Table":
    """A paper's table for the terminal."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(table.header):
        shown.add_column(name, justify="left" if place < table.words else "right", no_wrap=True)
    for row in table.rows:
        shown.add_row(*(Text(plain_cell(cell)) for cell in row))
    return shown


def _records(study: Study) -> Iterator[Mapping[str, object]]:
    for objective in (ZERO_SHOT, *study.objectives):
        for slice in study.slices:
            if objective == ZERO_SHOT and study.reference(slice) is None:
                continue
            curve = study.curve(objective, slice)
            for x, mean, low, high, seeds in zip(
                *(values.tolist() for values in (curve.x, curve.mean, curve.low, curve.high, curve.n_seeds)),
                strict=True,
            ):
                yield {
                    "objective": objective, "slice": slice, study.x: None if np.isnan(x) else x, "mean": mean,
                    "low": low, "high": high, "n_seeds": seeds, "n_queries": curve.n_queries,
                }  # fmt: skip


def _rows(study: Study, slices: Sequence[str]) -> Iterator[Cells]:
    """The header, then zero-shot, then a row for each objective and x."""
    yield [f"objective, {study.x}", *(slice.removeprefix("group:") for slice in slices)]
    if any(study.reference(slice) for slice in slices):
        yield ["zero-shot", *(_cell(study.reference(slice), np.nan) for slice in slices)]
    for objective in study.objectives:
        curves = [study.curve(objective, slice) for slice in slices]
        for x in curves[0].x:
            yield [f"{objective} {x:g}", *(_cell(curve, float(x)) for curve in curves)]


def _cell(curve: Curve | None, x: float) -> str:
    if curve is None:
        return ""
    (places,) = np.nonzero(np.isnan(curve.x) if np.isnan(x) else curve.x == x)
    if not len(places):
        return ""
    return f"{100 * curve.mean[places[0]]:.1f} ±{100 * curve.half_width[places[0]]:.1f}"


def _pages(study: Study, width: int) -> list[list[str]]:
    """Slices in lines that fit: groups and languages together or, where they do not fit, apart."""
    first = max(len(f"{objective} 0.25") for objective in (*study.objectives, "objective,")) + 2
    room = max((width - first) // 12, 1)
    if len(study.slices) <= room:
        return [list(study.slices)]
    groups = [slice for slice in study.slices if slice.startswith("group:")]
    languages = [slice for slice in study.slices if not slice.startswith("group:")]
    return [part[start : start + room] for part in (groups, languages) for start in range(0, len(part), room)]
