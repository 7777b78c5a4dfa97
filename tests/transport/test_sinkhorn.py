import math
import os
from importlib.util import find_spec

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.errors import UserError
from optical_sweeps.transport import Exact, Sinkhorn, TransportProblem
from tests.support.transport_problems import padded, permutation_problem, problems, random_problem, unpadded

# the Triton program runs where there is Triton; without a GPU in its interpreter: TRITON_INTERPRET=1
TRITON = bool(find_spec("triton")) and (torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") == "1")
IMPLEMENTATIONS = ["compiled", "tensor", *(["fused"] if TRITON and not torch.cuda.is_available() else [])]
implementations = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)


@settings(max_examples=40, deadline=None)
@given(problems, st.sampled_from(IMPLEMENTATIONS), st.sampled_from([1.0, 0.1, 0.02]))
def test_plan_has_the_marginals_and_the_form_of_an_optimum(problem, implementation, epsilon):
    plan = Sinkhorn(epsilon=epsilon, tolerance=1e-9, implementation=implementation)(problem)
    assert plan.converged.all()
    assert (plan.matrix.sum(2) - problem.a).abs().sum(1).max() < 1e-9
    assert (plan.matrix.sum(1) - problem.b).abs().sum(1).max() < 1e-9
    f, g = plan.source_potential.unsqueeze(2), plan.target_potential.unsqueeze(1)
    gibbs = ((f + g - problem.cost) / epsilon).exp() * problem.mask
    assert torch.allclose(plan.matrix, gibbs, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(problems, st.sampled_from([0.5, 0.05]))
def test_implementations_agree(problem, epsilon):
    plans = [Sinkhorn(epsilon=epsilon, tolerance=1e-10, implementation=i)(problem) for i in IMPLEMENTATIONS]
    for plan in plans[1:]:
        assert torch.allclose(plans[0].matrix, plan.matrix, atol=1e-8)


@implementations
@pytest.mark.parametrize("epsilon", [0.5, 0.05])
def test_agrees_with_a_slow_reference(implementation, epsilon):
    problem = random_problem(3, 7, 9, uniform=False)
    plan = Sinkhorn(epsilon=epsilon, tolerance=1e-10, implementation=implementation)(problem)
    for p in range(3):
        rows, columns = problem.source_mask[p].numpy(), problem.target_mask[p].numpy()
        a, b = problem.a[p].numpy()[rows], problem.b[p].numpy()[columns]
        kernel = np.exp(-problem.cost[p].numpy()[np.ix_(rows, columns)] / epsilon)
        v = np.ones_like(b)
        for _ in range(20_000):
            u = a / (kernel @ v)
            v = b / (kernel.T @ u)
        expected = u[:, None] * kernel * v
        assert np.allclose(plan.matrix[p].numpy()[np.ix_(rows, columns)], expected, atol=1e-9)


@implementations
def test_agrees_with_pot(implementation):
    problem = random_problem(1, 9, 7, ragged=False, uniform=False)
    plan = Sinkhorn(epsilon=0.1, tolerance=1e-10, implementation=implementation)(problem)
    a, b, cost = (x[0].numpy() for x in (problem.a, problem.b, problem.cost))
    peer = ot.sinkhorn(a, b, cost, 0.1, method="sinkhorn_log", stopThr=1e-12, numItermax=10_000)
    assert np.allclose(plan.matrix[0].numpy(), peer, atol=1e-9)


@implementations
def test_float32_reaches_its_tolerance_on_the_hard_case(implementation):
    problem = permutation_problem()
    for epsilon in (0.05, 0.01):
        plan = Sinkhorn(epsilon=epsilon, implementation=implementation)(problem)
        assert plan.converged.all()
        assert plan.marginal_error.max() < 1.1e-6


def test_vanishing_epsilon_is_exact_transport():
    problem = random_problem(6, 12, 10)
    exact = Exact()(problem)
    gaps = []
    for epsilon in (0.1, 0.01, 0.001):
        plan = Sinkhorn(epsilon=epsilon)(problem)
        assert plan.converged.all()
        gaps.append((plan.cost - exact.cost).max().item())
        bound = plan.gap_bound - (plan.cost - exact.cost)
        assert bound.min() > -1e-5  # the bound is one
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3


def test_vanishing_epsilon_finds_the_assignment():
    problem = random_problem(6, 12, 12, ragged=False)
    assert torch.equal(Sinkhorn(epsilon=1e-4)(problem).hard_alignment, Exact()(problem).hard_alignment)


@given(st.integers(0, 1000), st.sampled_from([0.0, 7.5, math.inf, math.nan]), st.sampled_from(IMPLEMENTATIONS))
@settings(max_examples=20, deadline=None)
def test_values_in_padding_do_not_change_the_plan(seed, fill, implementation):
    solver = Sinkhorn(epsilon=0.1, tolerance=1e-10, epsilon_relative_to="std", implementation=implementation)
    problem = random_problem(2, 7, 5, seed=seed)
    plan, alone = solver(padded(problem, 5, 12, fill)), solver(problem)
    assert torch.allclose(unpadded(plan.matrix, problem, 5, 12), alone.matrix, atol=1e-9)
    assert torch.allclose(plan.epsilon, alone.epsilon)
    assert plan.matrix.sum().item() == pytest.approx(2)
    assert plan.cost.isfinite().all()


@given(st.integers(0, 1000), st.sampled_from(IMPLEMENTATIONS))
@settings(max_examples=20, deadline=None)
def test_permutation_and_transposition(seed, implementation):
    solver = Sinkhorn(epsilon=0.1, tolerance=1e-10, implementation=implementation)
    problem = random_problem(2, 9, 6, seed=seed, uniform=False)
    order = torch.randperm(9)
    plan = solver(problem)
    permuted = solver(TransportProblem(problem.cost[:, order], problem.a[:, order], problem.b))
    swapped = solver(TransportProblem(problem.cost.mT, problem.b, problem.a))
    assert torch.allclose(permuted.matrix, plan.matrix[:, order], atol=1e-8)
    assert torch.allclose(swapped.matrix.mT, plan.matrix, atol=1e-8)


@implementations
@pytest.mark.parametrize("relative_to", ["std", "range", "mean"])
def test_relative_epsilon_makes_the_plan_independent_of_the_scale(implementation, relative_to):
    problem = random_problem(3, 8, 8)
    solver = Sinkhorn(0.5, epsilon_relative_to=relative_to, tolerance=1e-10, implementation=implementation)
    scaled = TransportProblem(problem.cost * 37, problem.a, problem.b)
    plan, other = solver(problem), solver(scaled)
    assert torch.allclose(plan.matrix, other.matrix, atol=1e-8)
    assert torch.allclose(37 * plan.epsilon, other.epsilon)


@implementations
def test_mass_other_than_one(implementation):
    problem = random_problem(2, 6, 5)
    solver = Sinkhorn(epsilon=0.1, tolerance=1e-10, implementation=implementation)
    heavy = solver(TransportProblem(problem.cost, 5 * problem.a, 5 * problem.b))
    assert torch.allclose(heavy.matrix, 5 * solver(problem).matrix, atol=1e-8)
    f, g = heavy.source_potential.unsqueeze(2), heavy.target_potential.unsqueeze(1)
    assert torch.allclose(((f + g - problem.cost) / 0.1).exp() * problem.mask, heavy.matrix, atol=1e-8)


@implementations
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
def test_never_nan_on_huge_and_tiny_costs(implementation, dtype, scale):
    problem = random_problem(3, 10, 7, dtype=dtype)
    plan = Sinkhorn(max_iterations=200, implementation=implementation)(
        TransportProblem(problem.cost * scale, problem.a, problem.b)
    )
    for tensor in (plan.matrix, plan.source_potential, plan.target_potential, plan.cost, plan.gap_bound):
        assert tensor.isfinite().all()
    assert (plan.converged == (plan.marginal_error <= 1e-6)).all()


@implementations
@pytest.mark.parametrize("epsilon", [1e-3, 1e-6, 1e-12])
def test_never_nan_at_very_small_epsilon(implementation, epsilon):
    problem = permutation_problem(batch=3, n=12)
    plan = Sinkhorn(epsilon, max_iterations=300, rounding=True, implementation=implementation)(problem)
    assert plan.matrix.isfinite().all()
    assert plan.marginal_error.max() < 2e-6
    # an unconverged plan is a feasible one still
    assert (plan.cost >= Exact()(problem).cost - 1e-5).all()


@implementations
@pytest.mark.parametrize("epsilon", [0.05, 0.01, 0.005, 0.002])
def test_plans_contain_no_denormals(implementation, epsilon):
    plan = Sinkhorn(epsilon, implementation=implementation)(permutation_problem())
    assert plan.matrix[plan.matrix > 0].min() >= torch.finfo(torch.float32).tiny


@implementations
def test_unconverged_problems_are_reported(implementation):
    problem = permutation_problem()
    plan = Sinkhorn(0.01, max_iterations=3, newton=False, implementation=implementation)(problem)
    assert not plan.converged.all()
    assert torch.equal(plan.converged, plan.marginal_error <= 1e-6)
    assert plan.iterations.max() <= 3
    assert torch.allclose(plan.matrix.sum((1, 2)), torch.ones(len(plan.matrix)), atol=1e-5)


@implementations
def test_problems_without_a_plan_are_not_converged(implementation):
    cost = torch.rand(5, 3, 3)
    cost[2, 0, 0], cost[3, 1, 1] = math.nan, math.inf
    a, b = torch.full((5, 3), 1 / 3), torch.full((5, 3), 1 / 3)
    a[0], b[0], a[1] = 0.0, 0.0, 0.0
    for rounding in (False, True):
        plan = Sinkhorn(rounding=rounding, implementation=implementation)(TransportProblem(cost, a, b))
        assert plan.converged.tolist() == [True, False, False, False, True]
        assert plan.matrix[:4].sum() == 0
        assert plan.cost.isfinite().all()


@implementations
@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (2, 1, 1), (2, 1, 5), (2, 5, 1)])
def test_degenerate_shapes(implementation, shape):
    problem = TransportProblem.uniform(torch.full(shape, 2.0))
    plan = Sinkhorn(implementation=implementation)(problem)
    assert plan.matrix.shape == shape
    if 0 not in shape:
        assert plan.converged.all()
        assert torch.allclose(plan.matrix, torch.full(shape, 1 / (shape[1] * shape[2])))


@implementations
def test_half_precision_non_contiguous_and_autocast(implementation):
    base = random_problem(4, 10, 10, ragged=False, dtype=torch.float32)
    solver = Sinkhorn(epsilon=0.1, implementation=implementation)
    low = TransportProblem.uniform(base.cost.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plan = solver(TransportProblem.uniform(base.cost.bfloat16().mT.contiguous().mT))
    assert plan.matrix.dtype == torch.float32
    assert plan.converged.all()
    assert torch.allclose(plan.matrix, solver(low).matrix, atol=1e-7)


@implementations
def test_rounding_reaches_the_polytope(implementation):
    problem = permutation_problem()
    plan = Sinkhorn(0.01, max_iterations=12, newton=False, rounding=True, implementation=implementation)(
        problem
    )
    assert not plan.converged.all()
    assert plan.marginal_error.max() < 1e-6
    assert plan.matrix.min() >= 0


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        ({"epsilon": 0.0}, "number above 0"),
        ({"epsilon": -1.0}, "number above 0"),
        ({"tolerance": 0.0}, "number above 0"),
        ({"max_iterations": 0}, "whole number of at least 1"),
        ({"implementation": "fast"}, "one of auto, compiled, tensor, fused"),
    ],
)
def test_invalid_settings_are_refused(setting, allowed):
    ((name, value),) = setting.items()
    with pytest.raises(UserError, match=rf"solver\.{name}: {value!r} is not (a )?{allowed}"):
        Sinkhorn(**setting)


@pytest.mark.skipif(bool(find_spec("triton")), reason="there is Triton")
def test_fused_without_triton_names_the_package():
    with pytest.raises(ImportError, match="needs the package triton"):
        Sinkhorn(implementation="fused")(random_problem(dtype=torch.float32))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("implementation", ["auto", "tensor", "compiled", *(["fused"] if TRITON else [])])
@pytest.mark.parametrize("epsilon", [0.05, 0.01])
def test_a_gpu_gives_the_plans_of_the_cpu(implementation, epsilon):
    problem = permutation_problem()
    moved = TransportProblem(problem.cost.cuda(), problem.a.cuda(), problem.b.cuda())
    plan = Sinkhorn(epsilon, implementation=implementation)(moved)
    assert plan.matrix.is_cuda
    assert plan.converged.all()
    assert torch.allclose(plan.matrix.cpu(), Sinkhorn(epsilon)(problem).matrix, atol=1e-6)
    assert torch.allclose(Exact()(moved).matrix.cpu(), Exact()(problem).matrix)
