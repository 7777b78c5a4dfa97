"""Tests against SciPy, and against enumeration on small samples."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from optical_sweeps.evaluation.significance import Estimate, holm, randomisation_test

scores = st.floats(-1, 1, allow_subnormal=False).map(lambda value: round(value, 3))
samples = arrays(float, st.integers(2, 30), elements=scores)
p_values = arrays(float, st.integers(1, 12), elements=st.floats(0, 1))


@given(samples, st.floats(0.01, 0.5))
def test_t_and_equivalence_equal_scipys(differences: np.ndarray, margin: float) -> None:
    estimate = Estimate.of(differences)
    if estimate.error < 1e-9:
        return
    theirs = stats.ttest_1samp(differences, 0)
    assert estimate.p_value() == pytest.approx(theirs.pvalue, abs=1e-9)
    bounds = theirs.confidence_interval(0.9)
    assert estimate.interval(0.9) == pytest.approx((bounds.low, bounds.high))
    one_sided = (
        stats.ttest_1samp(differences, -margin, alternative="greater").pvalue,
        stats.ttest_1samp(differences, margin, alternative="less").pvalue,
    )
    assert estimate.p_equivalence(margin) == pytest.approx(max(one_sided), abs=1e-9)


@given(samples, st.floats(0.01, 0.5))
def test_equivalence_at_5_percent_is_a_90_percent_interval_inside_the_margin(
    differences: np.ndarray, margin: float
) -> None:
    estimate = Estimate.of(differences)
    low, high = estimate.interval(0.9)
    if min(abs(low + margin), abs(high - margin)) > 1e-9:
        assert (estimate.p_equivalence(margin) < 0.05) == (-margin < low and high < margin)


def test_without_spread_a_difference_is_certain() -> None:
    assert Estimate.of(np.full(5, 0.25)).p_value() == 0
    assert Estimate.of(np.zeros(5)).p_value() == 1
    assert Estimate.of(np.full(5, 0.25)).p_equivalence(0.5) == 0
    assert Estimate.of(np.full(5, 0.25)).p_equivalence(0.125) == 1
    assert Estimate.of(np.zeros(5)).interval(0.95) == (0, 0)


@settings(deadline=None)
@given(arrays(float, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=scores))
def test_small_samples_are_enumerated(differences: np.ndarray) -> None:
    p = randomisation_test(differences, draws=1000)
    for row, found in zip(differences, p, strict=True):
        signs = np.array(list(product((1, -1), repeat=len(row))))
        assert found == pytest.approx((np.abs(signs @ row) >= abs(row.sum()) - 1e-9).mean())


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_drawn_signs_agree_with_enumerated_signs(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.05, 0.2, (2, 13))
    exact = randomisation_test(differences, draws=2**13)
    drawn = randomisation_test(differences, draws=8000)
    assert drawn == pytest.approx(exact, abs=5 * np.sqrt(0.25 / 8000))


def test_large_samples_agree_with_t() -> None:
    differences = np.random.default_rng(0).normal(0.02, 0.2, (5, 400))
    t = [Estimate.of(row).p_value() for row in differences]
    assert randomisation_test(differences) == pytest.approx(t, abs=0.02)


def test_p_is_never_0_and_comparisons_are_independent() -> None:
    differences = np.random.default_rng(0).normal(0.5, 0.1, (3, 50))
    p = randomisation_test(differences, draws=500)
    assert p == pytest.approx(1 / 501)
    mixed = np.vstack([differences[0], np.random.default_rng(1).normal(0, 0.1, 50)])
    assert randomisation_test(mixed, seed=3)[1] == randomisation_test(mixed[1:], seed=3)[0]


def test_a_true_null_is_rejected_at_the_nominal_rate() -> None:
    differences = np.random.default_rng(4).normal(0, 0.2, (2000, 40))
    assert (randomisation_test(differences, draws=1000) < 0.05).mean() == pytest.approx(0.05, abs=0.02)


@given(p_values, st.floats(0.001, 0.5))
def test_holm_agrees_with_its_stepwise_definition(p: np.ndarray, alpha: float) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    if np.abs(adjusted - alpha).min() < 1e-9:
        return
    rejected = np.zeros(len(p), dtype=bool)
    for step, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] * (len(p) - step) >= alpha:
            break
        rejected[place] = True
    assert ((adjusted < alpha) == rejected).all()


def test_empty_input_is_refused() -> None:
    with pytest.raises(ValueError, match="a test needs at least two"):
        Estimate.of(np.array([0.1]))
    with pytest.raises(ValueError, match="neither may be 0"):
        randomisation_test(np.empty((1, 0)))
    with pytest.raises(ValueError, match=r"margin 0\.0: must be positive"):
        Estimate(0.1, 0.1, 3.0).p_equivalence(0.0)
