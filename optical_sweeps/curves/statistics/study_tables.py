"""A study's results as a compact table, for the terminal and for papers.

Rows are objectives and values of x; columns are groups and languages. A cell, such as `41.2 ±1.3`, is the mean
over seeds and queries and half the width of its interval, both x 100.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.curves.tables.paper_table import PaperTable, plain_cell
from optical_sweeps.curves.tables.result_tables import ZERO_SHOT

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table


def markdown_table(study: Study) -> str:
    """All groups and languages in one Markdown table."""
    return _table(study, study.slices).render("markdown")


def terminal_table(study: Study, width: int = 80) -> "Group":
    """All groups and languages for the terminal, in as few tables as fit into `width` columns."""
    from rich.console import Group
    from rich.text import Text

    tables: list[RenderableType] = []
    for slices in _pages(study, width):
        tables += [Text(""), terminal_paper_table(_table(study, slices))]
    return Group(Text(_table(study, study.slices).caption, style="dim"), *tables)


def results_table(study: Study) -> PaperTable:
    """The groups for papers; the CSV has groups and languages with their intervals."""
    groups = [slice for slice in study.slices if slice.startswith("group:")] or study.slices
    return replace(_table(study, groups), records=tuple(_records(study)))


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


def _table(study: Study, slices: Sequence[str]) -> PaperTable:
    header, *rows = _rows(study, slices)
    caption = (
        f"{study.measure} x 100 on {study.split}; ± half the width of the {study.confidence:.0%} interval over "
        "queries and seeds."
    )
    return PaperTable(header, tuple(rows), 1, caption, ())


def _records(study: Study) -> Iterator[Mapping[str, object]]:
    for objective in (ZERO_SHOT, *study.objectives):
        for slice in study.slices:
            if objective == ZERO_SHOT and study.reference(slice) is None:
                continue
            curve = study.curve(objective, slice)
            columns = (curve.x, curve.mean, curve.low, curve.high, curve.n_seeds)
            for x, mean, low, high, seeds in zip(*(column.tolist() for column in columns), strict=True):
                yield {
                    "objective": objective, "slice": slice, study.x: None if np.isnan(x) else x, "mean": mean,
                    "low": low, "high": high, "n_seeds": seeds, "n_queries": curve.n_queries,
                }  # fmt: skip


def _rows(study: Study, slices: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The header, then zero-shot, then one row for each objective and x."""
    yield (f"objective, {study.x}", *(slice.removeprefix("group:") for slice in slices))
    if any(study.reference(slice) for slice in slices):
        yield ("zero-shot", *(_cell(study.reference(slice), np.nan) for slice in slices))
    for objective in study.objectives:
        curves = [study.curve(objective, slice) for slice in slices]
        for x in curves[0].x.tolist():
            yield (f"{objective} {x:g}", *(_cell(curve, x) for curve in curves))


def _cell(curve: Curve | None, x: float) -> str:
    if curve is None:
        return ""
    (places,) = np.nonzero(np.isnan(curve.x) if np.isnan(x) else curve.x == x)
    if not len(places):
        return ""
    return f"{100 * curve.mean[places[0]]:.1f} ±{100 * curve.half_width[places[0]]:.1f}"


def _pages(study: Study, width: int) -> list[list[str]]:
    """The slices of each table: all in one or, where they do not fit, groups and languages apart."""
    first = max(len(f"{objective} 0.25") for objective in (*study.objectives, "objective,")) + 2
    room = max((width - first) // 12, 1)
    if len(study.slices) <= room:
        return [list(study.slices)]
    groups = [slice for slice in study.slices if slice.startswith("group:")]
    languages = [slice for slice in study.slices if not slice.startswith("group:")]
    return [part[start : start + room] for part in (groups, languages) for start in range(0, len(part), room)]
