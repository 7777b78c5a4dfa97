"""What a solver returns: a coupling that carries its problem and says how good it is."""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.transport.problem import TransportProblem


@dataclass(frozen=True, eq=False)
class TransportPlan:
    """A coupling of each problem of a batch, with its dual potentials.

    Args:
        problem: what was solved, as the caller gave it (its cost may require gradients).
        matrix: mass moved from source token i to target token j; 0 at padding.
        source_potential: dual f, in the unit of the cost; 0 at padding.
        target_potential: dual g, likewise.
        marginal_error: max of the L1 errors of the two marginals, in units of mass.
        iterations: iterations (or augmentations) spent on each problem.
        converged: the solver's own stopping rule was met.
        epsilon: entropic regularisation that each problem was solved at; 0 for exact transport.
    """

    problem: TransportProblem
    matrix: Float[Tensor, "B n m"]
    source_potential: Float[Tensor, "B n"]
    target_potential: Float[Tensor, "B m"]
    marginal_error: Float[Tensor, " B"]
    iterations: Int[Tensor, " B"]
    converged: Bool[Tensor, " B"]
    epsilon: Float[Tensor, " B"]

    @cached_property
    def cost(self) -> Float[Tensor, " B"]:
        """<P, C>: differentiable in the problem's cost; in P as the solver's gradient mode says."""
        cost = self.problem.cost.to(self.matrix.dtype)
        return _dot(self.matrix.flatten(1), cost.flatten(1))

    @cached_property
    def entropy(self) -> Float[Tensor, " B"]:
        """-sum P log P, in nats; 0 log 0 = 0."""
        return cast(Tensor, torch.special.entr(self.matrix)).sum((1, 2))

    @cached_property
    def hard_alignment(self) -> Int[Tensor, "B n"]:
        """The target token that receives most of each source token's mass; -1 at padding."""
        return torch.where(self.problem.a > 0, self.matrix.argmax(2), -1)

    @cached_property
    def gap_bound(self) -> Float[Tensor, " B"]:
        """<P, C> less the dual value of the potentials made feasible: an upper bound on the excess cost.

        Exact transport costs no less than the dual value (weak duality), so P costs at most this much more
        than the optimum, up to what its marginal error is worth.
        """
        return self.cost.detach() - self.dual_value

    @cached_property
    def dual_value(self) -> Float[Tensor, " B"]:
        """<f, a> + <g, b> with f the c-transform of g, hence a lower bound of the exact transport cost."""
        cost = self.problem.cost.detach().to(self.matrix.dtype)
        a, b = self.problem.a.to(cost.dtype), self.problem.b.to(cost.dtype)
        g = self.target_potential.detach().unsqueeze(1)
        slack = (cost - g).masked_fill((b == 0).unsqueeze(1), torch.inf)
        f = (
            torch.where(a > 0, slack.amin(2), 0.0).clamp(max=torch.finfo(cost.dtype).max)
            if slack.shape[2]
            else torch.zeros_like(a)
        )
        return _dot(f, a) + _dot(g.squeeze(1), b)


def _dot(x: Float[Tensor, "B k"], y: Float[Tensor, "B k"]) -> Float[Tensor, " B"]:
    return cast(Tensor, torch.linalg.vecdot(x, y))
