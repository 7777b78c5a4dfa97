"""The intervals of the page cover the mean over other seeds and queries."""

import numpy as np

from optical_sweeps.report.intervals import Intervals, MeanSquares, bounds
from optical_sweeps.report.query_scores import QueryScores


def _simulated(generator, seeds: int, points: int = 5, queries: int = 60) -> list[np.ndarray]:
    of_query = generator.normal(0, 0.15, queries)
    return [
        0.5 + of_query + generator.normal(0, 0.03, (seeds, 1)) + generator.normal(0, 0.1, (seeds, queries))
        for _ in range(points)
    ]


def test_they_cover_with_two_seeds():
    generator = np.random.default_rng(0)
    covered = [
        low <= 0.5 <= high
        for _ in range(400)
        for low, high in bounds([MeanSquares.from_scores(values) for values in _simulated(generator, 2)])[:1]
    ]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_mean_squares_of_a_table_computed_by_hand():
    additive = MeanSquares.from_scores(np.array([[0.2, 0.4, 0.6], [0.3, 0.5, 0.7]]))
    found = (additive.mean, additive.seeds, additive.queries, additive.residuals)
    assert np.allclose(found, (0.45, 0.015, 0.08, 0.0), rtol=0, atol=1e-15)
    crossed = MeanSquares.from_scores(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert (crossed.mean, crossed.seeds, crossed.queries, crossed.residuals) == (0.5, 0.0, 0.0, 1.0)


def test_with_one_seed_the_interval_is_over_queries():
    values = np.random.default_rng(1).normal(0.5, 0.1, (1, 50))
    ((low, high),) = bounds([MeanSquares.from_scores(values)])
    error = values.std(ddof=1) / np.sqrt(50)
    assert np.isclose((high - low) / 2, 2.0096 * error, rtol=1e-4)  # t with 49 degrees of freedom


def test_a_group_weights_its_languages_equally():
    queries = (("ar", "1"), ("ar", "2"), ("ar", "3"), ("ko", "4"))
    scores = QueryScores(("a", "b"), queries, np.array([[0.0, 0.3, 0.6, 0.8], [0.0, 0.3, 0.6, 0.8]]))
    (found,) = Intervals(scores, {"low": ("ar", "ko")}).along([["a", "b"]], "group:low")
    assert np.isclose(sum(found) / 2, 0.55)  # (.3 + .8) / 2


def test_a_run_without_scores_has_no_interval():
    scores = QueryScores(("a",), (("ar", "1"), ("ar", "2")), np.array([[0.2, 0.4]]))
    first, second = Intervals(scores, {}).along([["a"], ["gone"]], "ar")
    assert first is not None
    assert second is None
