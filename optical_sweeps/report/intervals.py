"""Intervals of the means that the page's curves show, for other seeds and other queries.

As in `optical_sweeps.curves.intervals`, a score is mean + seed + query + rest, seeds and queries crossed, and
the variance of a mean is (MS_seeds + MS_queries - MS_rest) / (S Q). Two or three seeds tell little of their
spread at one point, so the mean squares of seeds and rest are pooled over a curve's points, which supposes that
its runs scatter alike; the degrees of freedom (Satterthwaite 1946) grow accordingly.

Shape legend: S seeds, Q queries.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from optical_sweeps.report.query_scores import QueryScores

CONFIDENCE = 0.95

Layout = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""A slice's columns, the query of each, its weight in that query's contribution; the queries' strata."""


@dataclass(frozen=True)
class MeanSquares:
    """Of one point; those of seeds and rest are 0 with one seed."""

    mean: float
    seeds: float
    queries: float
    rest: float
    n_seeds: int
    n_queries: int

    @classmethod
    def of(cls, values: Float[np.ndarray, "S Q"]) -> "MeanSquares":
        n_seeds, n_queries = values.shape
        mean = float(values.mean())
        of_seeds, of_queries = values.mean(1) - mean, values.mean(0) - mean
        rest = values - mean - of_seeds[:, None] - of_queries
        return cls(
            mean,
            n_queries * float(of_seeds @ of_seeds) / max(n_seeds - 1, 1),
            n_seeds * float(of_queries @ of_queries) / max(n_queries - 1, 1),
            float((rest**2).sum()) / max((n_seeds - 1) * (n_queries - 1), 1),
            n_seeds,
            n_queries,
        )


def bounds(points: Sequence[MeanSquares]) -> list[tuple[float, float]]:
    """The interval at each point of a curve.

    >>> low, high = bounds([MeanSquares.of(np.array([[0.2, 0.4, 0.6], [0.3, 0.5, 0.7]]))])[0]
    >>> low < 0.45 < high
    True
    """
    few = sum(point.n_seeds - 1 for point in points)
    seeds = sum((point.n_seeds - 1) * point.seeds for point in points) / max(few, 1)
    rest = sum((point.n_seeds - 1) * point.rest for point in points) / max(few, 1)
    of_seeds = max(seeds - rest, 0.0)
    found = []
    for point in points:
        many = max(point.n_queries - 1, 1)
        total = of_seeds + point.queries
        spread = (seeds**2 / few if of_seeds else 0.0) + point.queries**2 / many
        error = np.sqrt(total / (point.n_seeds * point.n_queries))
        reach = float(stdtrit(total**2 / spread, (1 + CONFIDENCE) / 2) * error) if total else 0.0
        found.append((max(point.mean - reach, 0.0), min(point.mean + reach, 1.0)))
    return found


class Intervals:
    """Intervals of curves, on any language or group."""

    def __init__(self, scores: QueryScores, groups: Mapping[str, Sequence[str]]) -> None:
        self._row = {run: row for row, run in enumerate(scores.runs)}
        self._values = scores.values
        languages = dict.fromkeys(language for language, _ in scores.queries)
        members: dict[str, tuple[str, ...]] = {language: (language,) for language in languages}
        members |= {f"group:{name}": tuple(of) for name, of in groups.items() if set(of) <= set(languages)}
        self._layouts = {slice: _layout(scores, of) for slice, of in members.items()}

    def of(self, curve: Sequence[Sequence[str]], slice: str) -> list[tuple[float, float] | None]:
        """At each point, given as its runs, bounds for their mean; none where a run's scores are not known."""
        squares = [self._mean_squares(runs, slice) for runs in curve]
        known = iter(bounds([square for square in squares if square is not None]))
        return [None if square is None else next(known) for square in squares]

    def _mean_squares(self, runs: Sequence[str], slice: str) -> MeanSquares | None:
        if slice not in self._layouts or not all(run in self._row for run in runs):
            return None
        places, targets, weights, strata = self._layouts[slice]
        chosen = self._values[[self._row[run] for run in runs]][:, places] * weights
        if np.isnan(chosen).any():
            return None
        values = np.stack([np.bincount(targets, row, minlength=len(strata)) for row in chosen])
        return MeanSquares.of(_centred(values, strata))


def _centred(values: Float[np.ndarray, "S Q"], strata: np.ndarray) -> Float[np.ndarray, "S Q"]:
    """The same means, with the differences between strata taken out: languages are no draw from others."""
    means = values.mean(1, keepdims=True)
    centred = values.copy()
    for stratum in np.unique(strata):
        here = strata == stratum
        centred[:, here] += means - values[:, here].mean(1, keepdims=True)
    return centred


def _layout(scores: QueryScores, languages: Sequence[str]) -> Layout:
    """A query counts with its share of the mean over languages; several languages may share one."""
    columns = [(place, *key) for place, key in enumerate(scores.queries) if key[0] in set(languages)]
    ids = {query: number for number, query in enumerate(sorted({query for _, _, query in columns}))}
    count = Counter(language for _, language, _ in columns)
    having: dict[str, list[str]] = {}
    for _, language, query in columns:
        having.setdefault(query, []).append(language)
    kinds: dict[tuple[str, ...], int] = {}
    return (
        np.array([place for place, _, _ in columns], dtype=np.int64),
        np.array([ids[query] for _, _, query in columns], dtype=np.int64),
        np.array([len(ids) / (len(languages) * count[language]) for _, language, _ in columns]),
        np.array([kinds.setdefault(tuple(having[query]), len(kinds)) for query in ids], dtype=np.int64),
    )
