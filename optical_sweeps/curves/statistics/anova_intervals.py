"""Intervals for new seeds and new queries that hold for two to five seeds, by analysis of variance.

A score is y = mean + seed + query + rest, with seeds and queries crossed. From the mean squares MS of a two-way
analysis of variance, the variance of the overall mean is (MS_seeds + MS_queries - MS_rest) / (S Q). The
interval uses a t quantile with the degrees of freedom of Satterthwaite (1946) or, where they are fewer, of
Cochran (1964). A bootstrap of three seeds cannot know how little three seeds say about their spread; t with two
degrees of freedom does. If MS_seeds is below MS_rest, the variance of seeds is taken as 0.

For quantities that are not means (the parameters of a fit), `replicates` draws curves around the estimate:
queries by the Bayesian bootstrap (Rubin 1981), seeds by normal draws with their estimated covariance. Both are
divided by the root of a chi-square over its degrees of freedom, so that the replicates of a mean have the same
t tails. The effect of a seed has two parts: one shifts the whole curve, with the same draw at every x; the
other differs between values of x, and its variance is pooled over x.

Shape legend: R replicates, X values of x, S seeds, Q queries.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtridf, stdtrit

from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.seeds import derive_seed


@dataclass(frozen=True, eq=False)
class MeanSquares:
    """Mean squares and mean products over x of seeds, queries and the rest.

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
        """The mean squares of scores; with one seed, those of seeds and rest are 0."""
        _, n_seeds, n_queries = values.shape
        mean = values.mean((1, 2))
        of_seeds, of_queries = values.mean(2) - mean[:, None], values.mean(1) - mean[:, None]
        rest = values - mean[:, None, None] - of_seeds[:, :, None] - of_queries[:, None, :]
        flat = rest.reshape(len(values), -1)
        return cls(
            mean,
            n_queries * of_seeds @ of_seeds.T / max(n_seeds - 1, 1),
            n_seeds * of_queries @ of_queries.T / max(n_queries - 1, 1),
            flat @ flat.T / max((n_seeds - 1) * (n_queries - 1), 1),
            n_seeds,
            n_queries,
        )

    def error(self, contrast: Float[np.ndarray, " X"]) -> tuple[float, float]:
        """Standard error of `contrast @ mean`, and its degrees of freedom."""
        parts = (self.seeds, self.queries, self.rest)
        seeds, queries, rest = (float(contrast @ part @ contrast) for part in parts)
        of_seeds = max(seeds - rest, 0.0)
        total = of_seeds + queries
        error = float(np.sqrt(total / (self.n_seeds * self.n_queries)))
        few, many = self.n_seeds - 1, max(self.n_queries - 1, 1)
        if not of_seeds:
            return error, float(many)
        satterthwaite = total**2 / (seeds**2 / few + queries**2 / many + rest**2 / (few * many))
        return error, min(satterthwaite, _cochran(of_seeds / total, few, many))

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
    """Curves that other queries and seeds could have given; see the module's docstring.

    A seed always draws the same weights for the same queries, so the scores of one study stay paired.
    """
    generator = np.random.default_rng(derive_seed("replicates", seed))
    values = scores.centred()
    deviations = _of_queries(values, count, generator) + _of_seeds(values, count, generator)
    return np.asarray(values.mean((1, 2)) + deviations)


def _of_queries(
    values: Float[np.ndarray, "X S Q"], count: int, generator: np.random.Generator
) -> Float[np.ndarray, "R X"]:
    by_query = values.mean(1)
    n = by_query.shape[1]
    if n < 2:
        return np.zeros((count, len(by_query)))
    draws = generator.exponential(size=(count, n))
    weights = draws / draws.sum(1, keepdims=True) - 1 / n
    # Dirichlet weights have (n - 1) / (n + 1) of the variance wanted; the chi-square gives t tails
    scale = np.sqrt((n + 1) / generator.chisquare(n - 1, (count, 1)))
    return np.asarray(scale * weights @ by_query.T)


def _of_seeds(
    values: Float[np.ndarray, "X S Q"], count: int, generator: np.random.Generator
) -> Float[np.ndarray, "R X"]:
    n_x, n_seeds, n_queries = values.shape
    if n_seeds < 2:
        return np.zeros((count, n_x))
    by_run = values.mean(2) - values.mean((1, 2))[:, None]
    shift = by_run.mean(0)
    residual = by_run - shift
    # the mean of a run includes a share of the rest, which the part of the queries already covers
    rest = MeanSquares.of(values).rest / n_queries
    shift_variance = (shift**2).sum() / (n_seeds - 1) - rest.mean()
    shifts = _t_draws(shift_variance, n_seeds - 1, (count, 1), n_seeds, generator)
    if n_x < 2:
        return shifts
    freedom = (n_x - 1) * (n_seeds - 1)
    residual_rest = (np.trace(rest) - rest.sum() / n_x) / (n_x - 1)
    residual_variance = (residual**2).sum() / freedom - residual_rest
    residuals = _t_draws(residual_variance, freedom, (count, n_x), n_seeds, generator)
    return np.asarray(shifts + residuals - residuals.mean(1, keepdims=True))


def _t_draws(
    variance: float, freedom: int, shape: tuple[int, int], n_seeds: int, generator: np.random.Generator
) -> Float[np.ndarray, "R X"]:
    """Draws of a mean over seeds, with one chi-square per replicate, because there is one variance estimate."""
    scale = np.sqrt(freedom / generator.chisquare(freedom, (shape[0], 1)))
    return np.asarray(generator.normal(size=shape) * np.sqrt(max(variance, 0.0) / n_seeds) * scale)
