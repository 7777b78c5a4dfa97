"""Differentiable transport plans.

- detached: the plan is a constant, so d<P, C>/dC = P. This is the default of the solvers (OPTICAL's loss).
- envelope: the gradient of the regularised optimum; see `TransportPlan.regularised_cost`. In C it is also P, by
  Danskin's theorem, but it is the gradient of another function.
- implicit: the gradient of the optimal plan of `Sinkhorn`, from its optimality conditions (`implicit_plan`).
- unrolled: the gradient of Sinkhorn's iterations, all of which are kept in memory (`unrolled_plan`).
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from optical_sweeps.transport._scaling import marginal_system
from optical_sweeps.transport.plan import TransportPlan, marginal_error


def implicit_plan(plan: TransportPlan) -> TransportPlan:
    """`plan` with a matrix that has the derivatives of the entropic optimum in cost and marginals.

    At the optimum P = exp((f + g - C) / epsilon) with P 1 = a and P' 1 = b; one linear system in the duals
    gives the adjoint (Luise et al. 2018; Eisenberger et al. 2022). It is solved in float64.
    """
    problem = plan.problem
    tensors = (problem.cost, problem.a, problem.b, plan.matrix.detach(), plan.epsilon)
    return replace(plan, matrix=_ImplicitPlan.apply(*tensors))  # type: ignore[no-untyped-call]


class _ImplicitPlan(torch.autograd.Function):
    """With w = P * dL/dP and [x; y] solving [diag(P 1), P; P', diag(P' 1)] [x; y] = [w 1; w' 1]:

    dL/da = x, dL/db = y (up to a constant that masses of fixed sum cannot see), and
    dL/dC = (P * (x_i + y_j) - w) / epsilon.
    """

    @staticmethod
    def forward(ctx: Any, cost: Tensor, a: Tensor, b: Tensor, matrix: Tensor, epsilon: Tensor) -> Tensor:
        ctx.save_for_backward(matrix, epsilon)
        ctx.dtypes = (cost.dtype, a.dtype, b.dtype)
        return matrix.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        matrix, epsilon = (tensor.double() for tensor in ctx.saved_tensors)
        w = matrix * gradient.double()
        rows, columns = matrix.sum(2), matrix.sum(1)
        inverse_rows = torch.where(rows > 0, 1 / torch.where(rows > 0, rows, 1.0), 0.0)
        w_rows, w_columns = w.sum(2), w.sum(1)
        projected = (matrix.mT @ (inverse_rows * w_rows).unsqueeze(2)).squeeze(2)
        y = marginal_system(matrix, rows, columns, w_columns - projected)
        x = inverse_rows * (w_rows - (matrix @ y.unsqueeze(2)).squeeze(2))
        cost_gradient = (matrix * (x.unsqueeze(2) + y.unsqueeze(1)) - w) / epsilon[:, None, None]
        gradients = (cost_gradient, x, y)
        return (*(g.to(dtype) for g, dtype in zip(gradients, ctx.dtypes, strict=True)), None, None)


def unrolled_plan(plan: TransportPlan) -> TransportPlan:
    """`plan` solved again in the log domain from zero duals, keeping every iterate for the backward pass.

    All problems run as many iterations as the slowest one needed, and memory grows with that number.
    """
    with torch.autocast(plan.problem.cost.device.type, enabled=False):
        return _unrolled(plan)


def _unrolled(plan: TransportPlan) -> TransportPlan:
    problem = plan.problem
    cost = problem.cost.to(problem.dtype)
    a, b = problem.a.to(problem.dtype), problem.b.to(problem.dtype)
    scale = plan.epsilon[:, None, None]
    rows, columns = plan.matrix.detach().sum(2) > 0, plan.matrix.detach().sum(1) > 0
    real = rows.unsqueeze(2) & columns.unsqueeze(1)
    logits = torch.where(real, -torch.where(real, cost, 0.0) / scale, -torch.inf)
    log_a, log_b = torch.where(rows, a, 1.0).log(), torch.where(columns, b, 1.0).log()
    x, y = torch.zeros_like(log_a), torch.zeros_like(log_b)
    for _ in range(int(plan.iterations.max()) if len(cost) else 0):
        x = log_a - _log_sum_exp(logits + y.unsqueeze(1), rows, 2)
        y = log_b - _log_sum_exp(logits + x.unsqueeze(2), columns, 1)
    matrix = (logits + x.unsqueeze(2) + y.unsqueeze(1)).exp()
    error = marginal_error(matrix.detach(), a.detach(), b.detach())
    epsilon = plan.epsilon.unsqueeze(1)
    return replace(
        plan,
        matrix=matrix,
        source_potential=(x * epsilon).detach(),
        target_potential=(y * epsilon).detach(),
        marginal_error=error,
        converged=plan.converged & (error <= 1e-3),
    )


def _log_sum_exp(logits: Float[Tensor, "B n m"], kept: Bool[Tensor, "B k"], dim: int) -> Float[Tensor, "B k"]:
    """logsumexp over `dim`; 0 where nothing is kept, because all -inf would turn gradients into NaN."""
    kept = kept.unsqueeze(dim)
    return torch.where(kept, logits, 0.0).logsumexp(dim) * kept.squeeze(dim)
