import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.errors import UserError
from optical_sweeps.transport import Exact, Partial, Sinkhorn, TransportProblem
from tests.support.transport_problems import padded, random_problem, unpadded


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.1, 0.5, 0.8, 1.0]))
def test_moves_the_mass_within_the_marginals_at_the_cost_of_pot(seed, mass):
    problem = random_problem(1, 6, 5, seed=seed, ragged=False, uniform=False)
    plan = Partial(mass=mass)(problem)
    assert plan.converged.all()
    assert plan.matrix.sum().item() == pytest.approx(mass, abs=1e-9)
    assert (plan.matrix.sum(2) - problem.a).max() < 1e-9
    assert (plan.matrix.sum(1) - problem.b).max() < 1e-9
    a, b, cost = (x[0].numpy() for x in (problem.a, problem.b, problem.cost))
    peer = ot.partial.partial_wasserstein(a, b, cost, m=min(mass, a.sum(), b.sum()))
    assert plan.cost.item() == pytest.approx((peer * cost).sum(), abs=1e-8)


def test_moving_all_mass_is_balanced_transport():
    problem = random_problem(4, 7, 6, dtype=torch.float32)
    assert torch.allclose(Partial(mass=1.0)(problem).cost, Exact()(problem).cost, atol=1e-5)


def test_negative_costs_do_not_leak_through_the_corner():
    problem = random_problem(3, 6, 6, ragged=False)
    negative = TransportProblem(problem.cost - 5, problem.a, problem.b)
    plan, shifted = Partial(mass=0.5)(problem), Partial(mass=0.5)(negative)
    assert torch.allclose(plan.cost, shifted.cost + 2.5, atol=1e-9)


def test_accepts_an_entropic_solver():
    problem = random_problem(3, 6, 6)
    plan = Partial(mass=0.5, solver=Sinkhorn(epsilon=0.002))(problem)
    assert plan.converged.all()
    assert torch.allclose(plan.cost, Partial(mass=0.5)(problem).cost, atol=1e-2)


def test_padding_changes_nothing():
    problem = random_problem(2, 6, 5)
    plan = Partial(mass=0.5)(padded(problem, 3, 3, float("nan")))
    assert torch.allclose(unpadded(plan.matrix, problem, 3, 3), Partial(mass=0.5)(problem).matrix, atol=1e-9)


@pytest.mark.parametrize("mass", [0.0, 1.5, -1.0])
def test_mass_is_a_share(mass):
    with pytest.raises(UserError, match=r"solver\.mass: .* is not a number in \(0, 1\]"):
        Partial(mass=mass)
