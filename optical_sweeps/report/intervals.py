"""Confidence intervals of the means in the page's curves, over other seeds and other queries.

As in `optical_sweeps.curves.statistics`, a score is mean + seed + query + residual with seeds and queries
crossed, and the variance of a mean is (MS_seeds + MS_queries - MS_residual) / (S Q). Two or three seeds say
little about their spread at one point. The mean squares of seeds and residuals are therefore pooled over the
points of a curve, which assumes that its runs have equal variance; the degrees of freedom (Satterthwaite 1946)
grow accordingly.

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
"""Columns of a slice, query number and weight of each column, and the stratum of each query."""


@dataclass(frozen=True)
class MeanSquares:
    """Mean and mean squares at one point; with one seed, those of seeds and residuals are 0."""

    mean: float
    seeds: float
    queries: float
    residuals: float
    n_seeds: int
    n_queries: int

    @classmethod
    def from_scores(cls, values: Float[np.ndarray, "S Q"]) -> "MeanSquares":
        n_seeds, n_queries = values.shape
        mean = float(values.mean())
        seed_effects, query_effects = values.mean(1) - mean, values.mean(0) - mean
        residuals = values - mean - seed_effects[:, None] - query_effects
        return cls(
            mean,
            n_queries * float(seed_effects @ seed_effects) / max(n_seeds - 1, 1),
            n_seeds * float(query_effects @ query_effects) / max(n_queries - 1, 1),
            float((residuals**2).sum()) / max((n_seeds - 1) * (n_queries - 1), 1),
            n_seeds,
            n_queries,
        )


def bounds(points: Sequence[MeanSquares]) -> list[tuple[float, float]]:
    """The interval at each point of a curve.

    >>> low, high = bounds([MeanSquares.from_scores(np.array([[0.2, 0.4, 0.6], [0.3, 0.5, 0.7]]))])[0]
    >>> low < 0.45 < high
    True
    """
    seed_freedom = sum(point.n_seeds - 1 for point in points)
    seeds = sum((point.n_seeds - 1) * point.seeds for point in points) / max(seed_freedom, 1)
    residuals = sum((point.n_seeds - 1) * point.residuals for point in points) / max(seed_freedom, 1)
    excess = max(seeds - residuals, 0.0)
    intervals = []
    for point in points:
        query_freedom = max(point.n_queries - 1, 1)
        total = excess + point.queries
        spread = (seeds**2 / seed_freedom if excess else 0.0) + point.queries**2 / query_freedom
        error = np.sqrt(total / (point.n_seeds * point.n_queries))
        reach = float(stdtrit(total**2 / spread, (1 + CONFIDENCE) / 2) * error) if total else 0.0
        intervals.append((max(point.mean - reach, 0.0), min(point.mean + reach, 1.0)))
    return intervals


class Intervals:
    """Intervals of curves for each language and group."""

    def __init__(self, scores: QueryScores, groups: Mapping[str, Sequence[str]]) -> None:
        self._row = {run: row for row, run in enumerate(scores.runs)}
        self._values = scores.values
        languages = dict.fromkeys(language for language, _ in scores.queries)
        members: dict[str, tuple[str, ...]] = {language: (language,) for language in languages}
        for name, group in groups.items():
            if languages.keys() >= set(group):
                members[f"group:{name}"] = tuple(group)
        self._layouts = {slice: _layout(scores, group) for slice, group in members.items()}

    def along(self, curve: Sequence[Sequence[str]], slice: str) -> list[tuple[float, float] | None]:
        """Bounds of the mean at each point of a curve; None if a run has no scores.

        Args:
            curve: for each point, the ids of its runs.
        """
        squares = [self._mean_squares(runs, slice) for runs in curve]
        known = iter(bounds([square for square in squares if square is not None]))
        return [None if square is None else next(known) for square in squares]

    def _mean_squares(self, runs: Sequence[str], slice: str) -> MeanSquares | None:
        if slice not in self._layouts or not all(run in self._row for run in runs):
            return None
        columns, targets, weights, strata = self._layouts[slice]
        chosen = self._values[[self._row[run] for run in runs]][:, columns] * weights
        if np.isnan(chosen).any():
            return None
        values = np.stack([np.bincount(targets, row, minlength=len(strata)) for row in chosen])
        return MeanSquares.from_scores(_centred(values, strata))


def _centred(values: Float[np.ndarray, "S Q"], strata: np.ndarray) -> Float[np.ndarray, "S Q"]:
    """Remove the differences between strata: the languages are fixed and not a sample of languages."""
    means = values.mean(1, keepdims=True)
    centred = values.copy()
    for stratum in np.unique(strata):
        members = strata == stratum
        centred[:, members] += means - values[:, members].mean(1, keepdims=True)
    return centred


def _layout(scores: QueryScores, languages: Sequence[str]) -> Layout:
    """Weight each query by its share of the mean over languages; several languages can share a query."""
    columns = [(number, *key) for number, key in enumerate(scores.queries) if key[0] in set(languages)]
    ids = {query: number for number, query in enumerate(sorted({query for _, _, query in columns}))}
    count = Counter(language for _, language, _ in columns)
    languages_of: dict[str, list[str]] = {}
    for _, language, query in columns:
        languages_of.setdefault(query, []).append(language)
    strata: dict[tuple[str, ...], int] = {}
    return (
        np.array([number for number, _, _ in columns], dtype=np.int64),
        np.array([ids[query] for _, _, query in columns], dtype=np.int64),
        np.array([len(ids) / (len(languages) * count[language]) for _, language, _ in columns]),
        np.array([strata.setdefault(tuple(languages_of[query]), len(strata)) for query in ids], dtype=np.int64),
    )
