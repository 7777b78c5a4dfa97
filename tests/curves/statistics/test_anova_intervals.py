"""Mean squares against SciPy; the spread of replicates; coverage, in a fast mode.

`benchmarks/curves.py` runs the simulations in full.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from optical_sweeps.curves.statistics.anova_intervals import MeanSquares, replicates
from tests.support.score_blocks import block

cubes = arrays(
    float,
    st.tuples(st.integers(1, 3), st.integers(2, 4), st.integers(2, 8)),
    elements=st.floats(0, 1, allow_subnormal=False),
)


@given(cubes)
def test_sums_of_squares_add_up(values: np.ndarray) -> None:
    squares = MeanSquares.of(values)
    n_x, n_seeds, n_queries = values.shape
    total = values - values.mean((1, 2), keepdims=True)
    parts = (
        (n_seeds - 1) * squares.seeds
        + (n_queries - 1) * squares.queries
        + (n_seeds - 1) * (n_queries - 1) * squares.rest
    )
    flat = total.reshape(n_x, -1)
    np.testing.assert_allclose(parts, flat @ flat.T, atol=1e-9)


def test_one_query_has_a_mean_square_of_0() -> None:
    squares = MeanSquares.of(np.array([[[0.25], [0.75]]]))
    assert (squares.mean, squares.seeds, squares.queries, squares.rest) == (0.5, 0.125, 0.0, 0.0)


@given(arrays(float, st.tuples(st.just(1), st.just(1), st.integers(2, 20)), elements=st.floats(0, 1)))
def test_one_seed_is_a_t_interval_over_queries(values: np.ndarray) -> None:
    low, high = MeanSquares.of(values).interval(np.ones(1), 0.9)
    queries = values[0, 0]
    if queries.std() < 1e-9:
        assert low == pytest.approx(high, abs=1e-6)
        return
    theirs = stats.ttest_1samp(queries, 0).confidence_interval(0.9)
    assert (low, high) == pytest.approx((theirs.low, theirs.high))


def test_seeds_alone_are_a_t_interval_over_seeds() -> None:
    seeds = np.array([0.31, 0.35, 0.33])
    values = np.repeat(seeds[None, :, None], 200, axis=2)
    low, high = MeanSquares.of(values).interval(np.ones(1), 0.95)
    theirs = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((theirs.low, theirs.high))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0.1, 5), st.floats(-1, 1))
def test_intervals_are_equivariant_to_shift_and_scale(
    number: int, n_seeds: int, scale: float, shift: float
) -> None:
    values = block(np.random.default_rng(number), np.array([0.4, 0.5]), n_seeds=n_seeds, n_queries=9).values
    contrast = np.array([0.5, 0.5])
    low, high = MeanSquares.of(values).interval(contrast, 0.95)
    moved = MeanSquares.of(values * scale + shift).interval(contrast, 0.95)
    assert moved == pytest.approx((low * scale + shift, high * scale + shift))


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_degrees_of_freedom_lie_between_those_of_seeds_and_of_queries(number: int, n_seeds: int) -> None:
    """If the variance of seeds is positive; a difference of mean squares can have fewer."""
    values = block(
        np.random.default_rng(number),
        np.array([0.4]),
        n_seeds=n_seeds,
        n_queries=30,
        run=0.1,
        query=0.2,
        rest=0.0,
    ).values
    _, freedom = MeanSquares.of(values).error(np.ones(1))
    assert n_seeds - 1 - 1e-6 <= freedom <= 30 + n_seeds


@pytest.mark.parametrize("n_seeds", [3, 5])
@pytest.mark.parametrize(
    "spread",
    [
        {"seed": 0.02, "run": 0.0, "query": 0.05, "rest": 0.02},
        {"seed": 0.0, "run": 0.01, "query": 0.1, "rest": 0.1},
        {"seed": 0.0, "run": 0.0, "query": 0.2, "rest": 0.05},
    ],
)
def test_intervals_cover_with_few_seeds(n_seeds: int, spread: dict[str, float]) -> None:
    generator = np.random.default_rng(11)
    n = 400
    covered = 0
    for _ in range(n):
        values = block(generator, np.array([0.4]), n_seeds=n_seeds, **spread).values
        low, high = MeanSquares.of(values).interval(np.ones(1), 0.95)
        covered += int(low <= 0.4 <= high)
    assert 0.9 <= covered / n <= 0.99


def test_the_spread_of_replicates_equals_the_error() -> None:
    scores = block(np.random.default_rng(3), np.linspace(0.3, 0.5, 5), n_seeds=40, seed=0.01, run=0.01)
    drawn = replicates(scores, 20_000, 0)
    squares = MeanSquares.of(scores.values)
    np.testing.assert_allclose(drawn.mean(0), scores.mean, atol=0.002)
    for contrast in (np.full(5, 0.2), np.array([1.0, 0, 0, 0, -1])):
        error, _ = squares.error(contrast)
        assert (drawn @ contrast).std() == pytest.approx(error, rel=0.25)


def test_two_seeds_give_replicates_with_heavy_tails() -> None:
    scores = block(
        np.random.default_rng(3), np.array([0.4]), n_seeds=2, seed=0.02, run=0.0, query=0.01, rest=0.001
    )
    low, high = np.quantile(replicates(scores, 20_000, 0), [0.025, 0.975], axis=0)
    seeds = scores.values.mean((0, 2))
    assert high[0] - low[0] == pytest.approx(2 * 12.7 * np.abs(np.diff(seeds))[0] / 2, rel=0.15)


def test_the_same_seed_gives_the_same_replicates() -> None:
    scores = block(np.random.default_rng(3), np.array([0.4, 0.5]))
    np.testing.assert_array_equal(replicates(scores, 50, 1), replicates(scores, 50, 1))
    assert not np.array_equal(replicates(scores, 50, 1), replicates(scores, 50, 2))


def test_one_seed_and_one_query_have_no_spread() -> None:
    scores = block(np.random.default_rng(3), np.array([0.4, 0.5]), n_seeds=1, n_queries=1)
    np.testing.assert_array_equal(replicates(scores, 5, 0), np.repeat(scores.mean[None], 5, axis=0))


def test_an_interval_by_hand() -> None:
    """Seeds 0.4 and 0.6, queries 0.3, 0.5 and 0.7, and no rest.

    MS_seeds = 3 * (0.01 + 0.01) / 1 = 0.06; MS_queries = 2 * (0.04 + 0 + 0.04) / 2 = 0.08; MS_rest = 0. The
    variance of the mean is (0.06 + 0.08) / 6. Satterthwaite has 0.14^2 / (0.06^2 / 1 + 0.08^2 / 2) = 2.882
    degrees of freedom. Cochran's t quantile is (0.06 * 12.706 + 0.08 * 4.303) / 0.14 = 7.904, of fewer.
    """
    values = (0.5 + np.array([-0.1, 0.1])[:, None] + np.array([-0.2, 0.0, 0.2]))[None]
    squares = MeanSquares.of(values)
    assert [float(part[0, 0]) for part in (squares.seeds, squares.queries, squares.rest)] == pytest.approx(
        [0.06, 0.08, 0], abs=1e-12
    )
    error, freedom = squares.error(np.ones(1))
    assert error == pytest.approx(np.sqrt(0.14 / 6))
    assert stats.t.ppf(0.975, freedom) == pytest.approx(7.904, rel=1e-3)
    low, high = squares.interval(np.ones(1), 0.95)
    assert (high + low) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(7.904 * np.sqrt(0.14 / 6), rel=1e-3)


def test_seeds_that_spread_less_than_the_rest_count_as_none() -> None:
    """The error is then that of queries, with their degrees of freedom."""
    values = np.array([[[0.1, 0.5, 0.9, 0.4], [0.5, 0.1, 0.4, 0.9]]])
    squares = MeanSquares.of(values)
    error, freedom = squares.error(np.ones(1))
    assert freedom == 3
    assert error == pytest.approx(np.sqrt(squares.queries[0, 0] / 8))


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_intervals_cover_when_seeds_spread_as_much_as_queries(n_seeds: int) -> None:
    """Seeds and queries contribute equally to the error of the mean; bands without either cover too seldom."""
    generator = np.random.default_rng(5)
    spread = {"seed": 0.02 * np.sqrt(n_seeds), "run": 0.0, "query": 0.02 * np.sqrt(60), "rest": 0.02}
    n, covered, narrow = 400, 0, 0
    for _ in range(n):
        squares = MeanSquares.of(block(generator, np.array([0.4]), n_seeds=n_seeds, **spread).values)
        low, high = squares.interval(np.ones(1), 0.95)
        covered += int(low <= 0.4 <= high)
        error, _ = squares.error(np.ones(1))
        narrow += int(abs(squares.mean[0] - 0.4) <= 1.96 * error)
    assert 0.93 <= covered / n <= 1.0
    assert narrow / n < 0.93, "the t quantile matters"


def test_replicates_over_few_queries_have_the_variance_of_t() -> None:
    scores = block(np.random.default_rng(3), np.array([0.4]), n_seeds=1, n_queries=9)
    expected = scores.values.var(ddof=1) / 9 * 8 / 6  # t with 8 degrees of freedom
    assert replicates(scores, 20_000, 0).var() == pytest.approx(expected, rel=0.05)
