"""Entropic optimal transport by Sinkhorn's iteration."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem

Spread = Literal["none", "std", "range", "mean"]

_CHECK_EVERY = 10


@dataclass(frozen=True)
class Sinkhorn:
    """min over U(a, b) of <P, C> - epsilon H(P), in the log domain (Cuturi 2013; Schmitzer 2019).

    Args:
        epsilon: regularisation, in units of the cost, or of its spread if `epsilon_relative_to` is set.
        epsilon_relative_to: spread of each problem's real cost entries: `std`, `range` (max - min) or
            `mean`; `none` takes `epsilon` as absolute.
        max_iterations: iterations (one update of each side) after which a problem is left unconverged.
        tolerance: marginal error (L1, in units of mass) at which a problem is done.
    """

    epsilon: float = 0.05
    epsilon_relative_to: Spread = "none"
    max_iterations: int = 1000
    tolerance: float = 1e-5

    @torch.no_grad()
    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """Solve every problem of the batch; gradients are not tracked through the plan."""
        with torch.autocast(problem.cost.device.type, enabled=False):
            dtype = torch.promote_types(problem.cost.dtype, torch.float32)
            cost, a, b = problem.cost.to(dtype), problem.a.to(dtype), problem.b.to(dtype)
            rows, columns = a > 0, b > 0
            rows, columns = rows & columns.any(1, True), columns & rows.any(1, True)
            real = rows.unsqueeze(2) & columns.unsqueeze(1)
            epsilon = (self.epsilon * cost_spread(cost, real, self.epsilon_relative_to)).clamp(
                min=torch.finfo(dtype).tiny * 1e6
            )
            logits = (-cost / epsilon[:, None, None]).masked_fill(~real, -torch.inf)
            log_a, log_b = a.log(), b.log()
            f, g, matrix = torch.zeros_like(a), torch.zeros_like(b), torch.zeros_like(cost)
            iterations = torch.zeros(len(cost), dtype=torch.int64, device=cost.device)
            error = torch.full_like(epsilon, torch.inf)
            for iteration in range(1, self.max_iterations + 1):
                f = torch.where(rows, log_a - torch.logsumexp(logits + g.unsqueeze(1), 2), 0.0)
                g = torch.where(columns, log_b - torch.logsumexp(logits + f.unsqueeze(2), 1), 0.0)
                if iteration % _CHECK_EVERY and iteration < self.max_iterations:
                    continue
                iterations[error > self.tolerance] = iteration
                matrix = (logits + f.unsqueeze(2) + g.unsqueeze(1)).exp()
                error = marginal_error(matrix, a, b)
                if bool((error <= self.tolerance).all()):
                    break
        return TransportPlan(
            problem,
            matrix,
            f * epsilon[:, None],
            g * epsilon[:, None],
            error,
            iterations,
            error <= self.tolerance,
            epsilon,
        )


def marginal_error(
    matrix: Float[Tensor, "B n m"], a: Float[Tensor, "B n"], b: Float[Tensor, "B m"]
) -> Float[Tensor, " B"]:
    """max(|P 1 - a|_1, |P' 1 - b|_1)."""
    rows = (matrix.sum(2) - a).abs().sum(1)
    columns = (matrix.sum(1) - b).abs().sum(1)
    return torch.maximum(rows, columns)


def cost_spread(
    cost: Float[Tensor, "B n m"], real: Bool[Tensor, "B n m"], kind: Spread
) -> Float[Tensor, " B"]:
    """Spread of each problem's real cost entries; 1 where it is 0, so that epsilon stays positive."""
    if kind == "none":
        return cost.new_ones(len(cost))
    count = real.sum((1, 2)).clamp(min=1)
    kept = cost.masked_fill(~real, 0.0)
    mean = kept.sum((1, 2)) / count
    if kind == "mean":
        spread = kept.abs().sum((1, 2)) / count
    elif kind == "range":
        low, high = (cost.masked_fill(~real, fill) for fill in (torch.inf, -torch.inf))
        spread = (high.amax((1, 2)) - low.amin((1, 2))).clamp(min=0.0)
    else:
        centred = (cost - mean[:, None, None]).masked_fill(~real, 0.0)
        spread = (centred.square().sum((1, 2)) / count).sqrt()
    return torch.where(spread > 0, spread, 1.0)
