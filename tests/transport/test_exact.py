import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from optical_sweeps.transport import Exact, TransportProblem
from tests.support.transport_problems import (
    optimal_costs,
    padded,
    permutation_problem,
    problems,
    random_problem,
    unpadded,
)


@settings(max_examples=60, deadline=None)
@given(problems)
def test_agrees_with_the_network_simplex(problem):
    plan = Exact()(problem)
    assert torch.allclose(plan.cost, optimal_costs(problem), atol=1e-10)
    assert plan.converged.all()
    assert plan.marginal_error.max() < 1e-9


@settings(max_examples=60, deadline=None)
@given(problems)
def test_duality_and_complementary_slackness(problem):
    plan = Exact()(problem)
    f, g = plan.source_potential.unsqueeze(2), plan.target_potential.unsqueeze(1)
    slack = problem.cost - f - g
    assert slack[problem.mask].min() > -1e-9
    assert (slack * plan.matrix).abs().max() < 1e-9
    assert plan.gap_bound.abs().max() < 1e-9


@settings(max_examples=30, deadline=None)
@given(problems)
def test_plans_are_vertices(problem):
    plan = Exact()(problem)
    support = (plan.matrix > 1e-12).sum((1, 2))
    tokens = problem.source_mask.sum(1) + problem.target_mask.sum(1)
    # successive paths may leave a cycle of ties; random costs have none
    assert (support <= tokens - 1).all()


def test_square_uniform_problems_are_assignments():
    problem = random_problem(16, 20, 20, ragged=False, dtype=torch.float32)
    plan = Exact()(problem)
    for cost, matrix in zip(problem.cost.double().numpy(), plan.matrix.numpy(), strict=True):
        rows, columns = linear_sum_assignment(cost)
        assert (matrix * cost).sum() == pytest.approx(cost[rows, columns].mean(), abs=1e-6)
        assert np.count_nonzero(matrix) == 20


def test_marginals_of_rational_masses_are_exact():
    counts = torch.tensor([[1.0, 2.0, 4.0, 0.0]], dtype=torch.float64)
    others = torch.tensor([[3.0, 3.0, 1.0, 5.0]], dtype=torch.float64)
    problem = TransportProblem(torch.rand(1, 4, 4, dtype=torch.float64), counts / 7, others / 12)
    plan = Exact()(problem)
    units = plan.matrix * 84
    assert torch.allclose(units, units.round(), atol=1e-12)
    assert plan.marginal_error.item() < 1e-15


@given(st.integers(0, 1000), st.sampled_from([0.0, 7.5, math.inf, math.nan]))
@settings(max_examples=20, deadline=None)
def test_values_in_padding_do_not_change_the_plan(seed, fill):
    problem = random_problem(2, 7, 5, seed=seed)
    plan = Exact()(padded(problem, 5, 12, fill))
    assert torch.equal(unpadded(plan.matrix, problem, 5, 12), Exact()(problem).matrix)
    assert plan.cost.isfinite().all()


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_permutation_and_transposition(seed):
    problem = random_problem(2, 9, 6, seed=seed, uniform=False)
    order = torch.randperm(9)
    permuted = TransportProblem(problem.cost[:, order], problem.a[:, order], problem.b)
    swapped = TransportProblem(problem.cost.mT, problem.b, problem.a)
    plan = Exact()(problem)
    assert torch.allclose(Exact()(permuted).matrix, plan.matrix[:, order], atol=1e-12)
    assert torch.allclose(Exact()(swapped).matrix.mT, plan.matrix, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("shift", [0.0, -3.0])
def test_scaling_and_shifting_the_cost_leaves_the_plan(scale, shift):
    problem = random_problem(4, 12, 9, dtype=torch.float32)
    moved = TransportProblem((problem.cost + shift) * scale, problem.a, problem.b)
    plan = Exact()(moved)
    assert plan.converged.all()
    costs = (plan.matrix * problem.cost).sum((1, 2))
    assert torch.allclose(costs, optimal_costs(problem), atol=1e-6)


def test_hard_case_in_float32_agrees_with_the_network_simplex():
    problem = permutation_problem()
    plan = Exact()(problem)
    assert torch.allclose(plan.cost, optimal_costs(problem), atol=1e-6)
    assert plan.marginal_error.max() < 1e-6


def test_all_equal_costs_and_single_tokens():
    for n, m in ((1, 1), (1, 9), (9, 1), (5, 7)):
        plan = Exact()(TransportProblem.uniform(torch.full((2, n, m), 3.0)))
        assert plan.converged.all()
        assert torch.allclose(plan.cost, torch.full((2,), 3.0))


def test_problems_without_a_plan_are_not_converged():
    cost = torch.rand(4, 3, 3)
    cost[2, 0, 0], cost[3, 1, 1] = math.nan, math.inf
    a, b = torch.full((4, 3), 1 / 3), torch.full((4, 3), 1 / 3)
    a[0], b[0], a[1] = 0.0, 0.0, 0.0
    plan = Exact()(TransportProblem(cost, a, b))
    assert plan.converged.tolist() == [True, False, False, False]
    assert plan.matrix.sum() == 0
    assert plan.marginal_error.tolist() == pytest.approx([0, 1, 1, 1], abs=1e-6)
    assert plan.cost.isfinite().all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_batches_and_sides_of_size_zero(shape):
    plan = Exact()(TransportProblem.uniform(torch.rand(shape)))
    assert plan.matrix.shape == shape
    assert plan.cost.shape == (shape[0],)


def test_non_contiguous_and_half_precision_input():
    base = random_problem(4, 10, 10, ragged=False, dtype=torch.float32)
    strided = torch.empty(10, 4, 10).permute(1, 2, 0)
    strided.copy_(base.cost)
    assert torch.equal(Exact()(TransportProblem(strided, base.a, base.b)).matrix, Exact()(base).matrix)
    for dtype in (torch.float16, torch.bfloat16):
        low = TransportProblem(base.cost.to(dtype), base.a.to(dtype), base.b.to(dtype))
        plan = Exact()(low)
        assert plan.matrix.dtype == torch.float32
        assert plan.converged.all()


def test_masses_of_different_totals_do_not_count_as_converged():
    problem = TransportProblem(torch.rand(1, 2, 2), torch.full((1, 2), 0.5), torch.full((1, 2), 0.25))
    plan = Exact()(problem)
    assert not plan.converged.any()
    assert plan.marginal_error.item() == pytest.approx(0.5)


def test_threads_do_not_change_the_plan():
    problem = random_problem(64, 30, 30, dtype=torch.float32)
    one, many = Exact(threads=1)(problem), Exact(threads=5)(problem)
    assert torch.equal(one.matrix, many.matrix)
