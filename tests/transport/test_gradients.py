"""Every gradient is compared with central finite differences in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.transport import Exact, Sinkhorn, TransportProblem, implicit_plan, unrolled_plan
from tests.support.transport_problems import random_problem

EPSILON = 0.2
DIFFERENTIABLE = {"implicit": implicit_plan, "unrolled": unrolled_plan}
TIGHT = Sinkhorn(epsilon=EPSILON, tolerance=1e-13, max_iterations=5000)


def finite_difference(function, point, direction, step=1e-5):
    return (function(point + step * direction) - function(point - step * direction)) / (2 * step)


def directions(shape, mask, seed, count=4):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randn(shape, generator=generator, dtype=torch.float64) * mask


def mass_preserving(direction, mask):
    """A change of marginals that keeps the mass: it sums to 0 over real tokens."""
    return (direction - direction.sum(1, keepdim=True) / mask.sum(1, keepdim=True)) * mask


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_envelope_gradient_is_that_of_the_regularised_optimum(seed):
    problem = random_problem(2, 5, 6, seed=seed, uniform=False)
    cost, a, b = (x.clone().requires_grad_() for x in (problem.cost, problem.a, problem.b))
    TIGHT(TransportProblem(cost, a, b)).regularised_cost.sum().backward()
    for direction in directions(cost.shape, problem.mask, seed):
        numeric = finite_difference(
            lambda c: TIGHT(TransportProblem(c, problem.a, problem.b)).regularised_cost.sum(),
            problem.cost,
            direction,
        )
        assert (cost.grad * direction).sum().item() == pytest.approx(numeric.item(), abs=1e-7)
    for direction in directions(a.shape, problem.source_mask, seed):
        direction = 0.1 * mass_preserving(direction, problem.source_mask)
        numeric = finite_difference(
            lambda x: TIGHT(TransportProblem(problem.cost, x, problem.b)).regularised_cost.sum(),
            problem.a,
            direction,
        )
        assert (a.grad * direction).sum().item() == pytest.approx(numeric.item(), abs=1e-6)


@pytest.mark.parametrize("mode", ["implicit", "unrolled"])
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_gradient_of_any_function_of_the_plan(mode, seed):
    """For <P, W> + <P, C>, in which cost and marginals act through the plan and directly."""
    problem = random_problem(2, 5, 6, seed=seed, uniform=False)
    weights = torch.rand(problem.cost.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    def value(cost, a, b, solver):
        plan = solver(TransportProblem(cost, a, b))
        return (plan.matrix * weights).sum() + plan.cost.sum()

    cost, a, b = (x.clone().requires_grad_() for x in (problem.cost, problem.a, problem.b))
    sinkhorn = Sinkhorn(epsilon=EPSILON, tolerance=1e-13, max_iterations=5000, newton=mode == "implicit")
    value(cost, a, b, lambda problem: DIFFERENTIABLE[mode](sinkhorn(problem))).backward()
    for direction in directions(cost.shape, problem.mask, seed):
        numeric = finite_difference(lambda c: value(c, problem.a, problem.b, TIGHT), problem.cost, direction)
        assert (cost.grad * direction).sum().item() == pytest.approx(numeric.item(), abs=1e-6)
    for side, gradient, mask in ((1, a.grad, problem.source_mask), (2, b.grad, problem.target_mask)):
        for direction in directions(gradient.shape, mask, seed):
            direction = 0.1 * mass_preserving(direction, mask)
            masses = [problem.a, problem.b]

            def moved(x, side=side, masses=masses):
                sides = [x if side == 1 else masses[0], x if side == 2 else masses[1]]
                return value(problem.cost, *sides, TIGHT)

            numeric = finite_difference(moved, masses[side - 1], direction)
            assert (gradient * direction).sum().item() == pytest.approx(numeric.item(), abs=1e-6)


@pytest.mark.parametrize("solver", [Exact(), Sinkhorn(epsilon=EPSILON)])
def test_detached_gradient_is_the_plan(solver):
    problem = random_problem(3, 5, 6)
    cost = problem.cost.clone().requires_grad_()
    plan = solver(TransportProblem(cost, problem.a, problem.b))
    assert not plan.matrix.requires_grad
    plan.cost.sum().backward()
    assert torch.equal(cost.grad, plan.matrix)
    direction = torch.randn(cost.shape, dtype=torch.float64)
    held = finite_difference(lambda c: (plan.matrix * c).sum(), problem.cost, direction)
    assert (cost.grad * direction).sum().item() == pytest.approx(held.item(), abs=1e-8)


def test_gradient_modes_differ():
    """For <P, C>, the detached gradient ignores that P depends on C."""
    problem = random_problem(1, 6, 6, ragged=False)
    gradients = {}
    for mode in ("detached", "implicit"):
        cost = problem.cost.clone().requires_grad_()
        plan = Sinkhorn(epsilon=EPSILON, tolerance=1e-12)(TransportProblem(cost, problem.a, problem.b))
        plan = implicit_plan(plan) if mode == "implicit" else plan
        plan.cost.sum().backward()
        gradients[mode] = cost.grad
    assert (gradients["detached"] - gradients["implicit"]).abs().max() > 1e-3


def test_exact_transport_is_differentiated_by_its_plan():
    """The exact optimum is piecewise linear in C; away from ties its derivative is the plan."""
    problem = random_problem(3, 5, 6)
    plan = Exact()(problem)
    for direction in directions(problem.cost.shape, problem.mask, 0):
        numeric = finite_difference(
            lambda c: Exact()(TransportProblem(c, problem.a, problem.b)).cost.sum(),
            problem.cost,
            direction,
            1e-7,
        )
        assert (plan.matrix * direction).sum().item() == pytest.approx(numeric.item(), abs=1e-6)


@pytest.mark.parametrize("mode", ["implicit", "unrolled"])
def test_padding_and_empty_problems_get_zero_gradients_and_never_nan(mode):
    problem = random_problem(3, 5, 6, dtype=torch.float32)
    a = problem.a.clone()
    a[1] = 0.0
    cost = problem.cost.clone().requires_grad_()
    plan = DIFFERENTIABLE[mode](Sinkhorn(epsilon=EPSILON)(TransportProblem(cost, a, problem.b)))
    plan.matrix.square().sum().backward()
    assert cost.grad.isfinite().all()
    assert (cost.grad[1] == 0).all()
    assert (cost.grad[~problem.mask] == 0).all()
    assert cost.grad[0].abs().sum() > 0


@pytest.mark.parametrize("name", ["cost", "regularised_cost"])
@pytest.mark.parametrize("solver", [Exact(), Sinkhorn()])
def test_detached_and_envelope_paths_keep_no_iterates(solver, name):
    """At 256 x 32 x 32, autograd keeps at most 2 MB for the backward pass in addition to the inputs."""
    problem = TransportProblem.uniform(torch.rand(256, 32, 32, requires_grad=True))
    saved = {}

    def keep(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        getattr(solver(problem), name).sum()
    saved.pop(problem.cost.untyped_storage().data_ptr(), None)
    assert sum(saved.values()) <= 2 << 20
