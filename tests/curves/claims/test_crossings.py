from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.curves.claims.crossings import Crossings, crossings_of
from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.errors import UserError
from tests.support.score_blocks import block


def difference(mean: list[float], x: list[float] | None = None, noise: float = 0.01, number: int = 0) -> Scores:
    """Scores whose mean is exactly `mean`, with noise over seeds and queries."""
    places = np.linspace(0, 1, len(mean)) if x is None else np.array(x)
    scores = block(
        np.random.default_rng(number), np.array(mean), run=noise / 10, query=noise, rest=noise, x=places
    )
    exact = scores.values + (np.array(mean) - scores.mean)[:, None, None]
    return replace(scores, values=exact)


def crossings(scores: Scores, x_name: str = "ratio") -> Crossings:
    return crossings_of(scores, "optical", "contrastive", x_name, 0.95)


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.5))
@settings(deadline=None, max_examples=20)
def test_a_line_crosses_at_its_zero(place: float, slope: float) -> None:
    x = np.linspace(0, 1, 5)
    (one,) = crossings(difference((slope * (x - place)).tolist())).found
    assert one.x == pytest.approx(place, abs=1e-9)
    assert one.upward
    assert one.low is None or one.low <= place
    assert one.high is None or one.high >= place


def test_swapping_the_objectives_swaps_only_the_leader() -> None:
    scores = difference([-0.1, -0.02, 0.08, 0.1])
    (one,) = crossings(scores).found
    (other,) = crossings(replace(scores, values=-scores.values)).found
    assert (one.x, one.low, one.high) == (other.x, other.low, other.high)
    assert (one.upward, other.upward) == (True, False)


def test_several_crossings_are_all_found() -> None:
    found = crossings(difference([-0.1, 0.1, -0.1, 0.1]))
    assert [round(one.x, 3) for one in found.found] == [0.167, 0.5, 0.833]
    assert [one.upward for one in found.found] == [True, False, True]
    assert [found.leader_after(one) for one in found.found] == ["optical", "contrastive", "optical"]


def test_without_a_crossing_the_leader_and_the_open_intervals_are_given() -> None:
    sure = crossings(difference([0.1, 0.2, 0.3]))
    assert sure.found == sure.open == ()
    assert (sure.leads, sure.leader) == (True, "optical")
    unsure = crossings(difference([-0.001, -0.2, -0.3], noise=0.1))
    assert unsure.found == ()
    assert unsure.leader == "contrastive"
    assert unsure.open[0][0] == 0


def test_touching_is_not_crossing_and_a_stretch_of_zeros_is_one_crossing() -> None:
    assert crossings(difference([0.1, 0.0, 0.1], noise=0.0)).found == ()
    (one,) = crossings(difference([-0.1, 0.0, 0.0, 0.1], noise=0.0)).found
    assert one.x == pytest.approx(0.5)
    assert one.low == pytest.approx(1 / 3)
    assert one.high == pytest.approx(2 / 3)


def test_equal_curves_have_no_leader() -> None:
    found = crossings(difference([0.0, 0.0, 0.0], noise=0.0))
    assert found.leads is None
    assert found.leader == ""


def test_the_interval_is_where_the_difference_may_be_zero() -> None:
    scores = difference([-0.1, -0.02, 0.08, 0.1], noise=0.1)
    (one,) = crossings(scores).found
    assert one.low is not None
    assert one.high is not None
    squares = MeanSquares.of(scores.values)
    for place, inside in ((one.low + 0.003, True), (one.low - 0.003, False), (one.high - 0.003, True)):
        right = int(np.searchsorted(scores.x, place))
        weights = np.zeros(4)
        part = (place - scores.x[right - 1]) / (scores.x[right] - scores.x[right - 1])
        weights[right - 1], weights[right] = 1 - part, part
        low, high = squares.interval(weights, 0.95)
        assert (low <= 0 <= high) is inside


def test_an_interval_beyond_the_range_has_no_bounds() -> None:
    (one,) = crossings(difference([-0.01, 0.0, 0.01], noise=0.5)).found
    assert one.low is None
    assert one.high is None
    assert str(one) == "0.5 (anywhere)"


def test_budgets_are_interpolated_on_a_logarithmic_scale() -> None:
    scores = difference([-0.1, 0.1], x=[100.0, 10_000.0])
    (one,) = crossings(scores, "total").found
    assert one.x == pytest.approx(1000)
    assert one.low is not None
    assert 100 < one.low < 1000


def test_one_x_is_refused() -> None:
    with pytest.raises(UserError, match="a crossing needs two values of ratio"):
        crossings(difference([0.1], x=[0.5]))
