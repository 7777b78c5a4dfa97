"""Intervals that hold for other seeds and other queries, also where there are two to five seeds.

A score is y = mean + seed + query + rest, seeds crossed with queries. From the mean squares MS of a two-way
analysis of variance the variance of the overall mean is (MS_seeds + MS_queries - MS_rest) / (S Q), and the
interval takes a t quantile whose degrees of freedom follow from those of its parts: Satterthwaite's (1946) or,
where they are fewer, Cochran's (1964). A bootstrap of three seeds cannot know that three seeds say little about
their own spread; t with two degrees does. Where MS_seeds falls below MS_rest, seeds count for nothing.

For what is not a mean (a fit's parameters) `replicates` draws curves around the estimate: queries by the
Bayesian bootstrap (Rubin 1981), seeds by normal draws of their estimated covariance, each divided by the root
of a chi-square over its degrees of freedom, so that a mean's replicates have those same t tails. Seeds move a
whole curve together (same draws of data at every x) and each x by itself; the second is pooled over x.

Shape legend: R replicates, X values of x, S seeds, Q queries.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtridf, stdtrit

from optical_sweeps.curves.statistics.study_scores import Scores
from optical_sweeps.seeds import derive_seed


@dataclass(frozen=True, eq=False)
class MeanSquares:
    """Mean squares and products over x of seeds, queries and the rest.

    >>> values = np.array([[[0.2, 0.4, 0.6], [0.3, 0.5, 0.7]]])
    >>> low, high = MeanSquares.of(values).interval(np.array([1.0]), 0.95)
    >>> bool(low < values.mean() < high)
    True
    """

    mean: Float[np.ndarray, " X"]
    seeds: Float[np.ndarray, "X X"]
    queries: Float[np.ndarray, "X X"]
    rest: Float[np.ndarray, "X X"]
    n_seeds: int
    n_queries: int

    @classmethod
    def of(cls, values: Float[np.ndarray, "X S Q"]) -> "MeanSquares":
        """Of scores; with one seed, seeds and rest are 0."""
        _, n_seeds, n_queries = values.shape
        mean = values.mean((1, 2))
        of_seeds, of_queries = values.mean(2) - mean[:, None], values.mean(1) - mean[:, None]
        rest = values - mean[:, None, None] - of_seeds[:, :, None] - of_queries[:, None, :]
        flat = rest.reshape(len(values), -1)
        spare = (n_seeds - 1) * (n_queries - 1)
        return cls(
            mean,
            n_queries * of_seeds @ of_seeds.T / max(n_seeds - 1, 1),
            n_seeds * of_queries @ of_queries.T / max(n_queries - 1, 1),
            flat @ flat.T / max(spare, 1),
            n_seeds,
            n_queries,
        )

    def error(self, contrast: Float[np.ndarray, " X"]) -> tuple[float, float]:
        """Standard error of `contrast @ mean`, and its degrees of freedom."""
        seeds, queries, rest = (
            float(contrast @ part @ contrast) for part in (self.seeds, self.queries, self.rest)
        )
        of_seeds = max(seeds - rest, 0.0)
        total = of_seeds + queries
        error = float(np.sqrt(total / (self.n_seeds * self.n_queries)))
        if not of_seeds:
            return error, float(max(self.n_queries - 1, 1))
        few, many = self.n_seeds - 1, self.n_queries - 1
        spread = seeds**2 / few + queries**2 / max(many, 1) + rest**2 / max(few * many, 1)
        return error, min(total**2 / spread, _cochran(of_seeds / total, few, max(many, 1)))

    def interval(self, contrast: Float[np.ndarray, " X"], confidence: float) -> tuple[float, float]:
        """Bounds for `contrast @ mean`."""
        error, freedom = self.error(contrast)
        reach = float(stdtrit(freedom, (1 + confidence) / 2)) * error if error else 0.0
        middle = float(contrast @ self.mean)
        return middle - reach, middle + reach


def _cochran(share: float, few: int, many: int) -> float:
    """Degrees of freedom at which t has the weighted mean of its 97.5% quantiles at `few` and at `many`."""
    quantile = share * stdtrit(few, 0.975) + (1 - share) * stdtrit(many, 0.975)
    return float(stdtridf(0.975, quantile))


def replicates(scores: Scores, count: int, seed: int) -> Float[np.ndarray, "R X"]:
    """Curves that other queries and seeds might have given; see the head of this file.

    The same seed draws the same weights for the same queries, so blocks of one study stay paired.
    """
    generator = np.random.default_rng(derive_seed("replicates", seed))
    values = scores.centred()
    drawn = _of_queries(values, count, generator) + _of_seeds(values, count, generator)
    return np.asarray(values.mean((1, 2)) + drawn)


def _of_queries(
    values: Float[np.ndarray, "X S Q"], count: int, generator: np.random.Generator
) -> Float[np.ndarray, "R X"]:
    by_query = values.mean(1)
    n = by_query.shape[1]
    if n < 2:
        return np.zeros((count, len(by_query)))
    draws = generator.exponential(size=(count, n))
    weights = draws / draws.sum(1, keepdims=True) - 1 / n
    # deviations of Dirichlet weights have (n - 1) / (n + 1) of the variance wanted; t tails as for seeds
    scale = np.sqrt((n + 1) / generator.chisquare(n - 1, (count, 1)))
    return np.asarray(scale * weights @ by_query.T)


def _of_seeds(
    values: Float[np.ndarray, "X S Q"], count: int, generator: np.random.Generator
) -> Float[np.ndarray, "R X"]:
    n_x, n_seeds, n_queries = values.shape
    if n_seeds < 2:
        return np.zeros((count, n_x))
    by_run = values.mean(2) - values.mean((1, 2))[:, None]
    together = by_run.mean(0)
    apart = by_run - together
    squares = MeanSquares.of(values)
    # a run's mean holds its share of the rest, which the queries' part has counted
    rest = squares.rest / n_queries
    shared = _t((together**2).sum() / (n_seeds - 1) - rest.mean(), n_seeds - 1, (count, 1), n_seeds, generator)
    if n_x < 2:
        return shared
    freedom = (n_x - 1) * (n_seeds - 1)
    own_rest = (np.trace(rest) - rest.sum() / n_x) / (n_x - 1)
    own = _t((apart**2).sum() / freedom - own_rest, freedom, (count, n_x), n_seeds, generator)
    return np.asarray(shared + own - own.mean(1, keepdims=True))


def _t(
    variance: float, freedom: int, shape: tuple[int, int], n_seeds: int, generator: np.random.Generator
) -> Float[np.ndarray, "R X"]:
    """Draws of a mean over seeds; one chi-square for a replicate, as one variance was estimated."""
    scale = np.sqrt(freedom / generator.chisquare(freedom, (shape[0], 1)))
    return np.asarray(generator.normal(size=shape) * np.sqrt(max(variance, 0.0) / n_seeds) * scale)
