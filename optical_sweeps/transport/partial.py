"""Transport of a share of the mass."""

from collections.abc import Callable
from dataclasses import field
from typing import Annotated

import torch
from annotated_types import Gt, Le

from optical_sweeps.settings import settings
from optical_sweeps.transport.exact import Exact
from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem

_NEGLIGIBLE = 1e-6  # share of the mass that rounding in float32 sums may leave over


@settings("solver")
class Partial:
    """min of <P, C> over P >= 0 with P 1 <= a, P' 1 <= b and sum P = a given mass.

    A dummy token on each side absorbs the unmoved mass at no cost and sends none to the other dummy token.
    This leaves a balanced problem for any solver (Chapel, Alaya and Gasso 2020).

    Args:
        mass: share of the smaller of the two total masses to move.
        solver: solver of the balanced problem.

    >>> problem = TransportProblem.uniform(torch.tensor([[[0.0, 5.0], [5.0, 9.0]]]))
    >>> Partial(mass=0.5)(problem).matrix
    tensor([[[0.5000, 0.0000],
             [0.0000, 0.0000]]])
    """

    mass: Annotated[float, Gt(0), Le(1)] = 0.8
    solver: Callable[[TransportProblem], TransportPlan] = field(default_factory=Exact)

    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """The partial plan; its marginal error is the largest excess over a, excess over b, or missed mass."""
        cost, a, b = problem.detached_tensors()
        total_a, total_b = a.sum(1), b.sum(1)
        moved = self.mass * torch.minimum(total_a, total_b)
        left_a, left_b = (
            torch.where(left > _NEGLIGIBLE * total, left, 0.0)
            for left, total in ((total_a - moved, total_a), (total_b - moved, total_b))
        )
        batch, n, m = cost.shape
        extended = cost.new_zeros(batch, n + 1, m + 1)
        extended[:, :n, :m] = torch.where(problem.mask, cost, 0.0)
        # Mass on the corner would free as much mass of a real pair, and at this cost that saves less.
        largest = extended.abs().nan_to_num(0.0, posinf=0.0).amax((1, 2))
        extended[:, n, m] = 2 * largest + torch.finfo(cost.dtype).tiny
        inner = TransportProblem(
            extended,
            torch.cat([a, left_b.unsqueeze(1)], 1),
            torch.cat([b, left_a.unsqueeze(1)], 1),
        )
        plan = self.solver(inner)
        matrix = plan.matrix.detach()[:, :n, :m]
        over_a = (matrix.sum(2) - a).clamp(min=0).sum(1)
        over_b = (matrix.sum(1) - b).clamp(min=0).sum(1)
        error = torch.stack([over_a, over_b, (matrix.sum((1, 2)) - moved).abs()]).amax(0)
        return TransportPlan(
            problem,
            matrix,
            plan.source_potential.detach()[:, :n],
            plan.target_potential.detach()[:, :m],
            error,
            plan.iterations,
            plan.converged & (error <= 1e-3 * moved.clamp(min=1e-30)),
            plan.epsilon,
        )
