"""Transport of a share of the mass."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from optical_sweeps.transport.exact import Exact
from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem

_NEGLIGIBLE = 1e-6  # of the mass: what float32 sums leave over where nothing should stay behind


@dataclass(frozen=True)
class Partial:
    """min of <P, C> over P >= 0 with P 1 <= a, P' 1 <= b and sum P = a given mass.

    A dummy token on each side takes what stays behind at no cost, and never sends to its counterpart; what
    is left is a balanced problem for any solver (Chapel, Alaya and Gasso 2020).

    Args:
        mass: share to be moved of the lesser of the two total masses, above 0 and at most 1.
        solver: of the balanced problem.

    Raises:
        ValueError: the mass is not in (0, 1].

    >>> problem = TransportProblem.uniform(torch.tensor([[[0.0, 5.0], [5.0, 9.0]]]))
    >>> Partial(mass=0.5)(problem).matrix
    tensor([[[0.5000, 0.0000],
             [0.0000, 0.0000]]])
    """

    mass: float = 0.8
    solver: Callable[[TransportProblem], TransportPlan] = field(default_factory=Exact)

    def __post_init__(self) -> None:
        if not 0 < self.mass <= 1:
            raise ValueError("mass must be above 0 and at most 1: it is a share")

    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """The partial plan; its marginal error is by how much it exceeds a, exceeds b or misses the mass."""
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
        # dear enough: mass that crosses the corner frees as much of a real pair, and that saves less
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
