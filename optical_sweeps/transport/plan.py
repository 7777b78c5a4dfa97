"""The result of a solver: a coupling with its problem, its duals and its errors."""

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
        problem: the problem as the caller passed it (its cost may require gradients).
        matrix: mass moved from source token i to target token j; 0 at padding.
        source_potential: dual f, in units of the cost; 0 at padding.
        target_potential: dual g, in units of the cost; 0 at padding.
        marginal_error: the larger of the L1 errors of the two marginals, in units of mass.
        iterations: iterations, steps or search phases spent on each problem.
        converged: whether the solver's stopping rule was met.
        epsilon: entropic regularisation of each problem; 0 for exact transport.
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
        """<P, C>: differentiable in the cost, and in P according to the solver's gradient mode."""
        return _inner(self.matrix, self._cost)

    @cached_property
    def regularised_cost(self) -> Float[Tensor, " B"]:
        """<P, C> - epsilon H(P), with the envelope gradient: P in the cost, the potentials in a and b.

        By Danskin's theorem these are the derivatives of the optimum, for converged plans and masses of
        constant sum. The plan is a constant here, in every gradient mode of the solver.
        """
        matrix = self.matrix.detach()
        value = _inner(matrix, self._cost) - self.epsilon * self.entropy.detach()
        for masses, potential in (
            (self.problem.a, self.source_potential),
            (self.problem.b, self.target_potential),
        ):
            if masses.requires_grad:
                value = value + ((masses - masses.detach()).to(matrix.dtype) * potential.detach()).sum(1)
        return value

    @cached_property
    def entropy(self) -> Float[Tensor, " B"]:
        """-sum P log P, in nats; 0 log 0 = 0."""
        return cast(Tensor, torch.special.entr(self.matrix)).sum((1, 2))

    @cached_property
    def relative_entropy(self) -> Float[Tensor, " B"]:
        """The entropy divided by that of the uniform plan, log n + log m; 0 for single tokens."""
        n, m = self.problem.source_mask.sum(1), self.problem.target_mask.sum(1)
        largest = (n * m).clamp(min=1).to(self.matrix.dtype).log()
        return self.entropy / torch.where(largest > 0, largest, 1.0)

    @cached_property
    def hard_alignment(self) -> Int[Tensor, "B n"]:
        """For each source token, the target token that receives most of its mass; -1 at padding."""
        if not self.matrix.shape[2]:
            return torch.full_like(self.problem.a, -1, dtype=torch.int64)
        best = self.matrix.max(2)
        return torch.where(best.values > 0, best.indices, -1)

    @cached_property
    def dual_value(self) -> Float[Tensor, " B"]:
        """A lower bound of the exact transport cost: <f, a> + <g, b> with f the c-transform of g.

        The result is the larger of the values with the c-transform of either side.
        """
        cost = self._cost.detach()
        a, b = self.problem.a.detach().to(cost.dtype), self.problem.b.detach().to(cost.dtype)
        f, g = self.source_potential.detach(), self.target_potential.detach()
        from_g = _dot(_transform(cost, g, self.problem), a) + _dot(g, b)
        swapped = TransportProblem(self.problem.cost.mT, self.problem.b, self.problem.a)
        from_f = _dot(f, a) + _dot(_transform(cost.mT, f, swapped), b)
        return torch.maximum(from_f, from_g)

    @cached_property
    def gap_bound(self) -> Float[Tensor, " B"]:
        """An upper bound on how far the cost of P is above the optimum, by weak duality.

        It ignores the cost of the mass that the marginal error of P leaves out.
        """
        return self.cost.detach() - self.dual_value

    @cached_property
    def _cost(self) -> Float[Tensor, "B n m"]:
        """Cost in the solver's precision, finite at padding, where P is 0 and 0 * inf would be NaN."""
        cost = self.problem.cost.to(self.matrix.dtype)
        if bool(cost.detach().sum().isfinite()):  # three times as fast as testing every entry
            return cost
        return cost.masked_fill(~cost.isfinite(), 0.0)


def marginal_error(
    matrix: Float[Tensor, "B n m"], a: Float[Tensor, "B n"], b: Float[Tensor, "B m"]
) -> Float[Tensor, " B"]:
    """max(|P 1 - a|_1, |P' 1 - b|_1).

    >>> marginal_error(torch.eye(2)[None] / 2, torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]))
    tensor([1.])
    """
    rows = (matrix.sum(2) - a).abs().sum(1)
    columns = (matrix.sum(1) - b).abs().sum(1)
    return torch.maximum(rows, columns)


def _transform(
    cost: Float[Tensor, "B n m"], g: Float[Tensor, "B m"], problem: TransportProblem
) -> Float[Tensor, "B n"]:
    """The c-transform f_i = min over real j of C_ij - g_j: the largest f that is feasible with g."""
    if not cost.shape[2]:
        return torch.zeros_like(problem.a, dtype=cost.dtype)
    closed = torch.where(problem.target_mask, g, -torch.inf).unsqueeze(1)
    return torch.where(problem.source_mask, (cost - closed).amin(2), 0.0)


def _inner(x: Float[Tensor, "B n m"], y: Float[Tensor, "B n m"]) -> Float[Tensor, " B"]:
    return _dot(x.flatten(1), y.flatten(1))


def _dot(x: Float[Tensor, "B k"], y: Float[Tensor, "B k"]) -> Float[Tensor, " B"]:
    return cast(Tensor, torch.linalg.vecdot(x, y))
