import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.transport import (
    SOLVERS,
    Exact,
    Sinkhorn,
    TransportPlan,
    TransportProblem,
    cost_spread,
    marginal_error,
    round_to_polytope,
    solve,
)
from tests.support.transport_problems import problems, random_problem


@settings(max_examples=30, deadline=None)
@given(problems, st.sampled_from([1.0, 0.05]))
def test_gap_bound_is_never_below_the_gap(problem, epsilon):
    plan = Sinkhorn(epsilon=epsilon, tolerance=1e-10)(problem)
    gap = plan.cost - Exact()(problem).cost
    assert (plan.gap_bound >= gap - 1e-8).all()
    assert (gap >= -1e-8).all()


@settings(max_examples=30, deadline=None)
@given(problems)
def test_dual_value_is_never_above_the_optimum(problem):
    exact = Exact()(problem)
    for solver in (Sinkhorn(), Exact()):
        assert (solver(problem).dual_value <= exact.cost + 1e-8).all()


def test_entropy_of_known_plans():
    uniform = TransportProblem.uniform(torch.zeros(1, 4, 4))
    assert Sinkhorn()(uniform).entropy.item() == pytest.approx(torch.tensor(16.0).log().item(), abs=1e-5)
    permutation = TransportProblem.uniform(1 - torch.eye(4)[None])
    assert Exact()(permutation).entropy.item() == pytest.approx(torch.tensor(4.0).log().item(), abs=1e-6)


def by_hand(f: list[float], g: list[float]) -> TransportPlan:
    """The diagonal plan of costs 1 on the diagonal and 2 off it, with these potentials and epsilon 0.5."""
    half = torch.full((1, 2), 0.5, dtype=torch.float64, requires_grad=True)
    cost = torch.tensor([[[1.0, 2.0], [2.0, 1.0]]], dtype=torch.float64)
    problem = TransportProblem(cost, half, half.detach().clone().requires_grad_())
    matrix = torch.eye(2, dtype=torch.float64)[None] / 2
    error, epsilon = torch.zeros(1, dtype=torch.float64), torch.full((1,), 0.5, dtype=torch.float64)
    f_and_g = (torch.tensor([side], dtype=torch.float64) for side in (f, g))
    return TransportPlan(problem, matrix, *f_and_g, error, torch.ones(1).long(), error == 0, epsilon)


def test_the_regularised_cost_and_its_gradients_are_those_computed_by_hand():
    plan = by_hand([3.0, 4.0], [5.0, 6.0])
    plan.regularised_cost.sum().backward()
    assert plan.regularised_cost.item() == pytest.approx(1 - 0.5 * math.log(2))
    assert plan.problem.a.grad.tolist() == [[3.0, 4.0]]
    assert plan.problem.b.grad.tolist() == [[5.0, 6.0]]


@pytest.mark.parametrize(("f", "g"), [([-5.0, 0.0], [0.25, 0.25]), ([0.25, 0.25], [-5.0, 0.0])])
def test_the_dual_value_takes_the_better_side(f, g):
    """The other side's c-transform gives -1; the optimum is 1."""
    assert by_hand(f, g).dual_value.tolist() == [1.0]


def test_hard_alignment_marks_padding():
    problem = random_problem(3, 6, 5)
    alignment = solve(problem).hard_alignment
    assert torch.equal(alignment >= 0, problem.source_mask)


@settings(max_examples=30, deadline=None)
@given(problems, st.integers(0, 100))
def test_rounding_gives_a_nearby_plan_on_the_polytope(problem, seed):
    generator = torch.Generator().manual_seed(seed)
    noise = 0.5 + torch.rand(problem.cost.shape, generator=generator, dtype=torch.float64)
    matrix = Sinkhorn(epsilon=1.0)(problem).matrix * noise
    rounded = round_to_polytope(matrix, problem.a, problem.b)
    assert marginal_error(rounded, problem.a, problem.b).max() < 1e-12
    assert rounded.min() >= 0
    rows, columns = matrix.sum(2) - problem.a, matrix.sum(1) - problem.b
    bound = 2 * (rows.abs().sum(1) + columns.abs().sum(1))
    assert ((rounded - matrix).abs().sum((1, 2)) <= bound + 1e-12).all()


def test_spread_ignores_padding():
    cost = torch.tensor([[[1.0, 3.0, 1e9], [5.0, 7.0, float("nan")]]])
    mask = torch.tensor([[[True, True, False], [True, True, False]]])
    spreads = {kind: cost_spread(cost, mask, kind).item() for kind in ("none", "std", "range", "mean")}
    assert spreads == pytest.approx({"none": 1, "std": 5**0.5, "range": 6, "mean": 4})
    assert cost_spread(torch.zeros(1, 2, 3), mask, "std").item() == 1


@pytest.mark.parametrize("name", ["auto", *SOLVERS])
def test_solve_in_one_line(name):
    plan = solve(random_problem(2, 5, 6, dtype=torch.float32), name)
    assert plan.matrix.shape == (2, 5, 6)
    assert plan.matrix.sum((1, 2)).min() > 0.5


def test_auto_is_exact_on_the_cpu():
    assert (solve(random_problem(2, 5, 6)).epsilon == 0).all()


def test_an_unknown_solver_is_refused():
    with pytest.raises(ValueError, match="no solver is named 'magic'"):
        solve(random_problem(), "magic")


def test_relative_entropy_is_1_for_uniform_plans_and_0_for_single_tokens():
    lengths = torch.tensor([3, 1]), torch.tensor([4, 1])
    plan = Sinkhorn(epsilon=1e4)(TransportProblem.from_lengths(torch.rand(2, 3, 4), *lengths))
    assert plan.relative_entropy.tolist() == pytest.approx([1.0, 0.0], abs=1e-4)
