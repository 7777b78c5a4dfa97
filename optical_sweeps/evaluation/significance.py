"""Tests of paired differences: significance, equivalence, and correction for multiple comparisons.

The unit is the query: a test of per-query differences tells whether the difference holds for other queries of
the same kind. Seeds are averaged first. Counting a query once for each seed would be wrong, because its
differences under several seeds are one observation measured several times.

Shape legend: C comparisons, Q queries.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import stdtr, stdtrit

from optical_sweeps.seeds import derive_seed

DRAWS = 20_000
_CHUNK = 2048


@dataclass(frozen=True)
class Estimate:
    """A mean difference with its standard error, and the degrees of freedom of the standard error.

    >>> low, high = Estimate(0.02, 0.01, 49.0).interval(0.95)
    >>> round(low, 4), round(high, 4)
    (-0.0001, 0.0401)
    """

    mean: float
    error: float
    freedom: float

    @classmethod
    def of(cls, differences: Float[np.ndarray, " Q"]) -> "Estimate":
        """The estimate from paired differences.

        Raises:
            ValueError: fewer than two differences.
        """
        if len(differences) < 2:
            raise ValueError(f"{len(differences)} differences: a test needs at least two")
        error = float(differences.std(ddof=1) / np.sqrt(len(differences)))
        return cls(float(differences.mean()), error, float(len(differences) - 1))

    def interval(self, confidence: float) -> tuple[float, float]:
        reach = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error if self.error else 0.0
        return self.mean - reach, self.mean + reach

    def p_value(self) -> float:
        """p-value of no difference: the two-sided t test."""
        return 2 * _upper_tail(abs(self.mean), self.error, self.freedom) if self.mean else 1.0

    def p_equivalence(self, margin: float) -> float:
        """p-value of a difference of `margin` or more: two one-sided t tests (Schuirmann 1987).

        Raises:
            ValueError: the margin is not positive.
        """
        if not margin > 0:
            raise ValueError(f"margin {margin}: must be positive")
        return max(
            _upper_tail(self.mean + margin, self.error, self.freedom),
            _upper_tail(margin - self.mean, self.error, self.freedom),
        )


def randomisation_test(
    differences: Float[np.ndarray, "C Q"], *, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, " C"]:
    """Two-sided p-values of mean differences under random signs of queries (Smucker, Allan, Carterette 2007).

    If there are at most `draws` assignments of signs (2^Q), all of them are tried. Otherwise `draws` are drawn,
    the same for every comparison, and the observed assignment counts as one more, so that p is never 0.

    >>> randomisation_test(np.array([[0.1, 0.2, 0.3, 0.1]])).tolist()
    [0.125]

    Raises:
        ValueError: no queries, or no draws.
    """
    n_comparisons, n_queries = differences.shape
    if not n_queries or draws < 1:
        raise ValueError(f"{n_queries} queries and {draws} draws: neither may be 0")
    sums = np.abs(differences.sum(1))
    # rounding must not lose assignments that tie with the observed one
    bar = sums - 1e-12 * np.abs(differences).sum(1)
    exact = n_queries < 63 and 2**n_queries <= draws
    total = 2**n_queries if exact else draws
    generator = np.random.default_rng(derive_seed("randomisation test", seed))
    reached = np.zeros(n_comparisons, dtype=np.int64)
    for start in range(0, total, _CHUNK):
        count = min(_CHUNK, total - start)
        flips = _every(start, count, n_queries) if exact else _drawn(generator, count, n_queries)
        # flipping signs subtracts the flipped values twice
        flipped = flips.astype(float) @ differences.T
        reached += (np.abs(differences.sum(1) - 2 * flipped) >= bar).sum(0)
    return np.asarray(reached / total if exact else (reached + 1) / (total + 1))


def holm(p_values: Float[np.ndarray, " C"]) -> Float[np.ndarray, " C"]:
    """p-values adjusted for multiple comparisons: their family-wise error rate is controlled (Holm 1979).

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _upper_tail(distance: float, error: float, freedom: float) -> float:
    """Upper tail of t at `distance / error`; without spread, a distance is certain."""
    if not error:
        return 0.5 if not distance else float(distance < 0)
    return float(stdtr(freedom, -distance / error))


def _every(start: int, count: int, n_queries: int) -> Bool[np.ndarray, "count Q"]:
    numbers = np.arange(start, start + count, dtype=np.int64)
    return np.asarray((numbers[:, None] >> np.arange(n_queries)) & 1, dtype=bool)


def _drawn(generator: np.random.Generator, count: int, n_queries: int) -> Bool[np.ndarray, "count Q"]:
    width = -(-n_queries // 8)
    packed = np.frombuffer(generator.bytes(count * width), dtype=np.uint8).reshape(count, width)
    return np.unpackbits(packed, axis=1, count=n_queries).astype(bool)
