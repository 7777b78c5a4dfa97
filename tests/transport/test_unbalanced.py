import warnings

import numpy as np
import ot
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.transport import Sinkhorn, TransportProblem, Unbalanced
from tests.support.transport_problems import padded, random_problem, unpadded

TIGHT = Unbalanced(epsilon=0.1, rho=0.5, tolerance=1e-12, max_iterations=20_000)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_optimality_conditions(seed):
    """f = -rho log(P 1 / a) and g = -rho log(P' 1 / b): where the derivative in P vanishes."""
    problem = random_problem(2, 6, 5, seed=seed, uniform=False)
    plan = TIGHT(problem)
    assert plan.converged.all()
    for potential, sums, masses in (
        (plan.source_potential, plan.matrix.sum(2), problem.a),
        (plan.target_potential, plan.matrix.sum(1), problem.b),
    ):
        real = masses > 0
        assert torch.allclose(potential[real], -0.5 * (sums[real] / masses[real]).log(), atol=1e-8)


def test_agrees_with_pot():
    problem = random_problem(1, 6, 5, ragged=False, uniform=False)
    a, b, cost = (x[0].numpy() for x in (problem.a, problem.b, problem.cost))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the reference measure is not used
        peer = ot.unbalanced.sinkhorn_unbalanced(
            a, b, cost, 0.1, 0.5, reg_type="entropy", numItermax=20_000, stopThr=1e-14
        )
    assert np.allclose(TIGHT(problem).matrix[0].numpy(), peer, atol=1e-7)


def test_a_large_penalty_gives_balanced_transport():
    problem = random_problem(3, 6, 5)
    plan = Unbalanced(epsilon=0.1, rho=1e5, tolerance=1e-7)(problem)
    assert plan.converged.all()
    assert torch.allclose(plan.matrix, Sinkhorn(epsilon=0.1)(problem).matrix, atol=1e-4)


def test_pairs_that_cost_more_than_the_penalty_stay_unmatched():
    cost = torch.tensor([[[0.0, 50.0], [50.0, 50.0]]])
    plan = Unbalanced(epsilon=0.01, rho=1.0)(TransportProblem.uniform(cost))
    assert plan.matrix[0, 0, 0] > 0.4
    assert plan.matrix[0, 1].sum() < 1e-6


def test_padding_and_empty_problems():
    problem = random_problem(2, 6, 5)
    plan = TIGHT(padded(problem, 3, 3, float("inf")))
    assert torch.allclose(unpadded(plan.matrix, problem, 3, 3), TIGHT(problem).matrix, atol=1e-9)
    empty = TransportProblem(torch.rand(1, 2, 2), torch.zeros(1, 2), torch.full((1, 2), 0.5))
    assert TIGHT(empty).matrix.sum() == 0
