"""Errors of losses against the textbook formula and against simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.evaluation.robustness import loss_error, relative_loss, spread, worst

scores = st.lists(st.floats(-1, 1), min_size=2, max_size=20)


def named(values) -> dict[str, float]:
    return {f"q{number}": value for number, value in enumerate(values)}


@given(scores)
def test_for_one_language_the_error_is_the_standard_error_of_the_mean(values):
    expected = np.std(values, ddof=1) / math.sqrt(len(values))
    assert loss_error([named(values)]) == pytest.approx(expected, abs=1e-12)


@given(scores)
def test_the_same_queries_in_two_languages_count_once(values):
    """In parallel collections, a second language with the same differences adds no information."""
    once = loss_error([named(values)])
    assert loss_error([named(values), named(values)]) == pytest.approx(once, abs=1e-12)


def test_the_error_is_the_spread_of_losses_over_draws_of_queries():
    random = np.random.default_rng(0)
    errors, means = [], []
    for _ in range(400):
        sides = [random.normal(0.1, scale, size) for scale, size in ((0.3, 40), (0.2, 25))]
        by_language = [
            {f"{n}-{q}": float(value) for q, value in enumerate(side)} for n, side in enumerate(sides)
        ]
        errors.append(loss_error(by_language))
        means.append(np.mean([side.mean() for side in sides]))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


def test_unknown_values_are_nan():
    assert math.isnan(loss_error([{"a": 0.1}]))
    assert math.isnan(spread([0.1]))
    assert math.isnan(relative_loss(0.0, 0.0))


@given(st.dictionaries(st.sampled_from(["ar", "bn", "fi", "te"]), st.floats(-1, 1), min_size=1))
def test_the_worst_loses_most(losses):
    language, most = worst(losses)
    assert losses[language] == most == max(losses.values())
