"""The comparison table: systems by languages, each cell marked where it differs from one system's.

Shape legend: S systems, Q queries of all languages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from optical_sweeps.curves.tables.paper_table import Cell, Marked, PaperTable
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.significance import DRAWS, holm, randomisation_test

MEAN = "mean"
"""The column of the mean over languages, every language counting the same."""


@dataclass(frozen=True)
class SystemScores:
    """Per-query values of one measure.

    Args:
        systems: names of the rows, each with as many seeds as `seeds` has.
        languages: of each column.
        query_ids: of each column; one id in several languages is one query, as in parallel collections.
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
                    "have; all have to be measured on one collection: run it again"
                )

    def of(self, where: str) -> Float[np.ndarray, "S q"]:
        """The queries of a language; of the mean, every query's share of it, in sum the mean."""
        languages = np.array(self.languages)
        if where != MEAN:
            return self.values[:, languages == where]
        distinct, column, counts = np.unique(languages, return_inverse=True, return_counts=True)
        ids, query = np.unique(self.query_ids, return_inverse=True)
        shares = np.zeros((len(self.systems), len(ids)))
        np.add.at(shares.T, query, (self.values / (counts[column] * len(distinct))).T)
        return shares

    def mean(self, where: str) -> Float[np.ndarray, " S"]:
        """The value of every system in a cell of that column."""
        values = self.of(where)
        return np.asarray(values.sum(1) if where == MEAN else values.mean(1))


@dataclass(frozen=True)
class Difference:
    """A cell: what a system scores, and how that compares with the reference.

    Args:
        difference: of the system less the reference; None for the reference itself, as are the p-values.
        p, p_holm: of the paired randomisation test over queries; corrected for the measure's whole table.
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

    The column of the mean is tested on all languages' queries, each with its share of the mean; a query that
    several languages have is one draw, as in `scores`. The mean of one language is that language: it is asked
    about once, and the mean has its p.
    """
    base = scores.systems.index(reference)
    others = [row for row in range(len(scores.systems)) if row != base]
    columns = (*languages, MEAN)
    asked = columns if len(set(scores.languages)) > 1 else columns[:1]
    tests = {where: scores.of(where) for where in columns}
    family = np.full((len(scores.systems), len(asked)), np.nan)
    for column, where in enumerate(asked):
        if others:
            family[others, column] = randomisation_test(tests[where][others] - tests[where][base], draws=draws)
    corrected = np.full_like(family, np.nan)
    corrected[others] = holm(family[others].ravel()).reshape(len(others), len(asked))
    means = {where: scores.mean(where) for where in columns}
    cells = []
    for row, system in enumerate(scores.systems):
        for where in columns:
            column = asked.index(where) if where in asked else 0
            value, distance = float(means[where][row]), float(means[where][row] - means[where][base])
            p, p_holm = float(family[row, column]), float(corrected[row, column])
            compared = row != base
            different = compared and p_holm < alpha and distance != 0
            cells.append(
                Difference(
                    measure=scores.measure,
                    system=system,
                    language=where,
                    value=value,
                    seeds=scores.seeds[row],
                    queries=tests[where].shape[1],
                    difference=distance if compared else None,
                    p=p if compared else None,
                    p_holm=p_holm if compared else None,
                    verdict=("higher" if distance > 0 else "lower") if different else "",
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
    """A row for each measure and system, in points; ▲ and ▼: higher or lower than the reference.

    Args:
        titles: names of systems as they are printed; by default, their own.
    """
    titles = titles or {}
    by_row: dict[tuple[str, str], dict[str, Difference]] = {}
    for cell in cells:
        by_row.setdefault((cell.measure, cell.system), {})[cell.language] = cell
    rows: list[tuple[Cell, ...]] = []
    for (measure, system), row in by_row.items():
        found = (row[where] for where in (*languages, MEAN))
        values = (Marked(f"{100 * cell.value:.1f}", cell.verdict) for cell in found)
        rows.append((measure, titles.get(system, system), *values))
    seeds = max((cell.seeds for cell in cells), default=1)
    asked = [
        cell for cell in cells if cell.difference is not None and (len(languages) > 1 or cell.language != MEAN)
    ]
    each = len(asked) // max(len({cell.measure for cell in cells}), 1)
    caption = (
        f"Measures x 100 on {split}; the mean is over languages; trained systems are means of "
        f"{seeds} seed{'s' * (seeds != 1)}; marks: higher or lower than {titles.get(reference, reference)} "
        f"at {alpha:g} (paired randomisation test over queries, corrected by Holm's method over the "
        f"{each} comparisons of a measure)."
    )
    records = tuple({name: getattr(cell, name) for name in Difference.__dataclass_fields__} for cell in cells)
    return PaperTable(("measure", "system", *languages, MEAN), tuple(rows), 2, caption, records)
