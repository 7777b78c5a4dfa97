import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.transport import Exact, Ipot, Sinkhorn, TransportProblem
from tests.support.transport_problems import padded, permutation_problem, random_problem, unpadded


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_steps_solved_exactly_are_sinkhorn_at_beta_over_steps(seed, steps):
    problem = random_problem(2, 6, 7, seed=seed, uniform=False)
    plan = Ipot(beta=0.5, steps=steps, inner_iterations=3000, tolerance=1e-8)(problem)
    sinkhorn = Sinkhorn(epsilon=0.5 / steps, tolerance=1e-11)(problem)
    assert torch.allclose(plan.matrix, sinkhorn.matrix, atol=1e-7)
    assert torch.allclose(plan.epsilon, sinkhorn.epsilon)


def test_more_steps_approach_exact_transport():
    problem = random_problem(4, 8, 8, dtype=torch.float32)
    exact = Exact()(problem).cost
    few, many = (Ipot(steps=steps)(problem) for steps in (20, 2000))
    assert (many.cost - exact).abs().max() < 2e-3
    assert (many.cost - exact).abs().mean() < (few.cost - exact).abs().mean()


def test_plan_has_the_form_given_by_its_duals():
    problem = random_problem(2, 6, 7)
    plan = Ipot(beta=0.5, steps=5)(problem)
    f, g = plan.source_potential.unsqueeze(2), plan.target_potential.unsqueeze(1)
    gibbs = ((f + g - problem.cost) / plan.epsilon[:, None, None]).exp() * problem.mask
    assert torch.allclose(plan.matrix, gibbs, atol=1e-10)


def test_padding_changes_nothing():
    problem = random_problem(2, 6, 7, dtype=torch.float32)
    plan = Ipot()(padded(problem, 3, 4, float("nan")))
    assert torch.allclose(unpadded(plan.matrix, problem, 3, 4), Ipot()(problem).matrix, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e4, 1e20])
def test_never_nan_and_reports_convergence(scale):
    problem = permutation_problem()
    problem = TransportProblem(problem.cost * scale, problem.a, problem.b)
    plan = Ipot()(problem)
    assert plan.matrix.isfinite().all()
    assert torch.equal(plan.converged, plan.marginal_error <= 1e-3)
    smallest = plan.matrix[plan.matrix > 0].min()
    assert smallest > torch.finfo(torch.float32).tiny  # no denormals
    assert Ipot(rounding=True)(problem).marginal_error.max() < 1e-5


def test_empty_problems_do_not_converge():
    a = torch.tensor([[0.0, 0.0], [0.5, 0.5]])
    plan = Ipot()(TransportProblem(torch.rand(2, 2, 2), a, torch.full((2, 2), 0.5)))
    assert plan.converged.tolist()[0] is False
    assert plan.matrix[0].sum() == 0
