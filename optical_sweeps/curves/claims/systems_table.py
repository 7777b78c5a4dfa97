"""The comparison table: systems by languages, with marks where a system differs from the reference.

Shape legend: S systems, Q queries of all languages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from optical_sweeps.curves.tables.paper_table import Cell, Marked, PaperTable, sign
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import DRAWS, holm, randomisation_test
from optical_sweeps.terminal_text import count_text

MEAN = "mean"
"""The column of the mean over languages, in which every language has the same weight."""


@dataclass(frozen=True)
class SystemScores:
    """Per-query values of one measure.

    Args:
        systems: names of the rows.
        seeds: number of seeds of each system.
        languages: language of each column.
        query_ids: query of each column; an id in several languages is one query, as in parallel collections.
        values: means over seeds.

    Raises:
        UserError: a system lacks a query.
    """

    measure: str
    systems: tuple[str, ...]
    seeds: tuple[int, ...]
    languages: tuple[str, ...]
    query_ids: tuple[str, ...]
    values: Float[np.ndarray, "S Q"]

    def __post_init__(self) -> None:
        for name, row in zip(self.systems, self.values, strict=True):
            if missing := int(np.isnan(row).sum()):
                raise UserError(
                    f"systems: {name} has no {self.measure} of {missing} of {len(row)} queries that others "
                    "have; all systems must be evaluated on one collection: run it again"
                )

    def of(self, column: str) -> Float[np.ndarray, "S q"]:
        """Values of a language's queries, or for `MEAN` each query's contribution to the mean."""
        languages = np.array(self.languages)
        if column != MEAN:
            return self.values[:, languages == column]
        distinct, language, counts = np.unique(languages, return_inverse=True, return_counts=True)
        ids, query = np.unique(self.query_ids, return_inverse=True)
        contributions = np.zeros((len(self.systems), len(ids)))
        np.add.at(contributions.T, query, (self.values / (counts[language] * len(distinct))).T)
        return contributions

    def mean(self, column: str) -> Float[np.ndarray, " S"]:
        """The value of every system in a column."""
        values = self.of(column)
        return np.asarray(values.sum(1) if column == MEAN else values.mean(1))


@dataclass(frozen=True)
class Difference:
    """A cell: a system's value and its comparison with the reference.

    Args:
        difference: system minus reference; None for the reference itself, as are the p-values.
        p, p_holm: of the paired randomisation test over queries; the second is corrected for the measure's
            whole table.
        verdict: `higher`, `lower`, or empty.
    """

    measure: str
    system: str
    language: str
    value: float
    seeds: int
    queries: int
    difference: float | None
    p: float | None
    p_holm: float | None
    verdict: str


def differences(
    scores: SystemScores, languages: Sequence[str], reference: str, alpha: float = 0.05, draws: int = DRAWS
) -> list[Difference]:
    """Every cell, system by system; all comparisons of a measure are one family (Holm 1979).

    The mean is tested on the queries of all languages, each with its contribution to the mean; an id in several
    languages is drawn once. With one language, the mean is that language and is not tested again.
    """
    base = scores.systems.index(reference)
    others = [row for row in range(len(scores.systems)) if row != base]
    columns = (*languages, MEAN)
    tested = columns if len(set(scores.languages)) > 1 else columns[:1]
    values = {column: scores.of(column) for column in columns}
    means = {column: scores.mean(column) for column in columns}
    p = np.full((len(scores.systems), len(tested)), np.nan)
    for place, column in enumerate(tested):
        if others:
            p[others, place] = randomisation_test(values[column][others] - values[column][base], draws=draws)
    p_holm = np.full_like(p, np.nan)
    p_holm[others] = holm(p[others].ravel()).reshape(len(others), len(tested))
    cells = []
    for row, system in enumerate(scores.systems):
        for column in columns:
            place = tested.index(column) if column in tested else 0
            difference = float(means[column][row] - means[column][base])
            compared = row != base
            different = compared and p_holm[row, place] < alpha and difference != 0
            cells.append(
                Difference(
                    measure=scores.measure,
                    system=system,
                    language=column,
                    value=float(means[column][row]),
                    seeds=scores.seeds[row],
                    queries=values[column].shape[1],
                    difference=difference if compared else None,
                    p=float(p[row, place]) if compared else None,
                    p_holm=float(p_holm[row, place]) if compared else None,
                    verdict=("higher" if difference > 0 else "lower") if different else "",
                )
            )
    return cells


def systems_table(
    cells: Sequence[Difference],
    languages: Sequence[str],
    reference: str,
    split: str,
    alpha: float = 0.05,
    titles: Mapping[str, str] | None = None,
) -> PaperTable:
    """One row for each measure and system, x 100, with ▲ or ▼ where it is higher or lower than the reference.

    Args:
        titles: system -> printed name; by default, the system's own.
    """
    titles = titles or {}
    by_row: dict[tuple[str, str], dict[str, Difference]] = {}
    for cell in cells:
        by_row.setdefault((cell.measure, cell.system), {})[cell.language] = cell
    rows: list[tuple[Cell, ...]] = []
    for (measure, system), by_column in by_row.items():
        row = (by_column[column] for column in (*languages, MEAN))
        values = (Marked(f"{100 * cell.value:.1f}", cell.verdict) for cell in row)
        rows.append((measure, titles.get(system, system), *values))
    seeds = max((cell.seeds for cell in cells), default=1)
    columns = {*languages, MEAN} if len(languages) > 1 else set(languages)
    tested = [cell for cell in cells if cell.difference is not None and cell.language in columns]
    comparisons = len(tested) // max(len({cell.measure for cell in cells}), 1)
    caption = (
        f"Measures x 100 on {split}; the mean is over languages; trained systems are means of "
        f"{count_text(seeds, 'seed')}; {sign('higher')} {sign('lower')}: higher or lower than "
        f"{titles.get(reference, reference)} at {alpha:g} (paired randomisation test over queries, corrected "
        f"by Holm's method over the {comparisons} comparisons of a measure)."
    )
    records = tuple({name: getattr(cell, name) for name in Difference.__dataclass_fields__} for cell in cells)
    return PaperTable(("measure", "system", *languages, MEAN), tuple(rows), 2, caption, records)
