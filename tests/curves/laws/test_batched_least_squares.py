"""The batched solver against SciPy's, with bounds and weights."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from optical_sweeps.curves.laws.batched_least_squares import minimise

AT = np.linspace(0, 3, 9)


def decay(coordinates: np.ndarray) -> np.ndarray:
    """level + size exp(-rate t)"""
    level, size, rate = coordinates.T[:, :, None]
    return level + size * np.exp(-rate * AT)


def boxes(low: list[float], high: list[float], count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tile(np.array(low, float), (count, 1)), np.tile(np.array(high, float), (count, 1))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.345, 1e30]))
def test_as_good_as_scipy_from_the_same_start(seed: int, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.uniform([0, 0.5, 0.3], [1, 3, 2], (4, 3))
    target = decay(truth) + generator.normal(0, 0.05, (4, 9))
    target[:, 3] += generator.choice([0, 2], 4)
    low, high = boxes([-5, -5, 0.01], [5, 5, 10], 4)
    start = np.tile([0.5, 1.0, 1.0], (4, 1))
    weights = np.full((4, 9), 20.0)
    found, losses = minimise(decay, start, target, weights, low, high, threshold)
    for row in range(4):
        theirs = least_squares(
            lambda at, row=row: 20 * (decay(at[None])[0] - target[row]),
            start[row],
            bounds=(low[row], high[row]),
            loss="huber" if threshold < 100 else "linear",
            f_scale=min(threshold, 1e3),
            xtol=1e-14,
            ftol=1e-14,
            gtol=1e-12,
        )
        assert losses[row] <= theirs.cost * (1 + 1e-6) + 1e-9
    assert (found >= low).all()
    assert (found <= high).all()


def test_a_batch_equals_its_members_solved_alone() -> None:
    generator = np.random.default_rng(0)
    target = decay(generator.uniform(0.5, 2, (6, 3))) + generator.normal(0, 0.02, (6, 9))
    start, (low, high) = np.ones((6, 3)), boxes([-5, -5, 0.01], [5, 5, 10], 6)
    weights = np.ones((6, 9))
    together, _ = minimise(decay, start, target, weights, low, high, 1.0)
    alone = [
        minimise(decay, *(part[[row]] for part in (start, target, weights, low, high)), 1.0)[0][0]
        for row in range(6)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_bounds_are_kept_and_equal_bounds_hold_a_coordinate() -> None:
    target = decay(np.array([[0.5, 1.0, 1.0]]))
    low, high = boxes([0.7, -5, 0.01], [5, 5, 10], 1)
    found, losses = minimise(decay, np.ones((1, 3)), target, np.ones((1, 9)), low, high, 1.0)
    assert found[0, 0] == 0.7
    assert losses[0] > 1e-4
    low[0, 0] = high[0, 0] = 0.5
    found, losses = minimise(decay, np.ones((1, 3)), target, np.ones((1, 9)), low, high, 1.0)
    np.testing.assert_allclose(found, [[0.5, 1, 1]], atol=1e-6)
    assert losses[0] < 1e-12


def test_a_weight_of_0_leaves_a_point_out() -> None:
    target = decay(np.array([[0.5, 1.0, 1.0]]))
    target[0, 4] = 100
    weights = np.ones((1, 9))
    weights[0, 4] = 0
    low, high = boxes([-5, -5, 0.01], [5, 5, 10], 1)
    found, _ = minimise(decay, np.ones((1, 3)), target, weights, low, high, 1e30)
    np.testing.assert_allclose(found, [[0.5, 1, 1]], atol=1e-6)


def test_a_start_without_a_finite_model_fails_alone() -> None:
    def model(coordinates: np.ndarray) -> np.ndarray:
        return np.log(decay(coordinates) - coordinates[:, :1])

    target = np.log(np.exp(-AT))[None].repeat(2, axis=0)
    low, high = boxes([-5, -5, 0.01], [5, 5, 10], 2)
    start = np.array([[0.0, -1.0, 1.0], [0.0, 2.0, 0.5]])
    with np.errstate(all="ignore"):
        found, losses = minimise(model, start, target, np.ones((2, 9)), low, high, 1e30)
    assert losses[0] == np.inf
    np.testing.assert_allclose(found[1, 1:], [1, 1], atol=1e-5)
