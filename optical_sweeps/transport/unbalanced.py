"""Entropic transport with relaxed marginals."""

import torch
from jaxtyping import Float
from torch import Tensor

from optical_sweeps.checks import Count, PositiveFloat
from optical_sweeps.settings import settings
from optical_sweeps.transport.plan import TransportPlan, marginal_error
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.spread import Spread, cost_spread

_REVIEW = 10  # iterations between two convergence checks


@settings("solver")
class Unbalanced:
    """min over P >= 0 of <P, C> + epsilon sum P (log P - 1) + rho KL(P 1 | a) + rho KL(P' 1 | b).

    Scaling in the log domain (Chizat et al. 2018). Every iteration rebalances the mass of both duals
    (Sejourne et al. 2022); otherwise convergence would be very slow for rho much larger than epsilon.

    Args:
        epsilon: entropic regularisation in units of the cost, or of its spread.
        rho: penalty on missed marginals, in the units of epsilon.
        epsilon_relative_to: as in `Sinkhorn`; applies to epsilon and rho.
        max_iterations: largest number of iterations per problem.
        tolerance: change of the duals in one iteration, in units of epsilon, at which a problem has converged.
    """

    epsilon: PositiveFloat = 0.05
    rho: PositiveFloat = 1.0
    epsilon_relative_to: Spread = "none"
    max_iterations: Count = 1000
    tolerance: PositiveFloat = 1e-5

    @torch.no_grad()
    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """Solve every problem; the plan's marginal error is the mass that the relaxation leaves unmatched."""
        with torch.autocast(problem.cost.device.type, enabled=False):
            cost, a, b = problem.detached_tensors()
            solvable = (cost.isfinite() | ~problem.mask).flatten(1).all(1)
            real = problem.mask & solvable[:, None, None]
            rows, columns = real.any(2), real.any(1)
            cost = cost.masked_fill(~real, 0.0)
            spread = cost_spread(cost, real, self.epsilon_relative_to)
            epsilon, rho = self.epsilon * spread, self.rho * spread
            logits = torch.where(real, -cost / epsilon[:, None, None], -torch.inf)
            log_a, log_b = a.masked_fill(~rows, 1.0).log(), b.masked_fill(~columns, 1.0).log()
            damping = (rho / (rho + epsilon)).unsqueeze(1)
            ratio = (epsilon / rho).unsqueeze(1)
            x, y = torch.zeros_like(a), torch.zeros_like(b)  # duals in units of epsilon
            iterations = torch.zeros_like(epsilon, dtype=torch.int64)
            change = torch.full_like(epsilon, torch.inf)
            for iteration in range(1, self.max_iterations + 1):
                before = x
                x = torch.where(rows, damping * (log_a - (logits + y.unsqueeze(1)).logsumexp(2)), 0.0)
                y = torch.where(columns, damping * (log_b - (logits + x.unsqueeze(2)).logsumexp(1)), 0.0)
                excess = _log_mass(log_a - ratio * x, rows) - _log_mass(log_b - ratio * y, columns)
                shift = (excess / (2 * ratio)).nan_to_num(0.0, posinf=0.0, neginf=0.0)
                x, y = x + shift * rows, y - shift * columns
                if iteration % _REVIEW and iteration < self.max_iterations:
                    continue
                iterations[change > self.tolerance] = iteration
                change = (x - before).abs().amax(1) if x.shape[1] else torch.zeros_like(change)
                if bool((change <= self.tolerance).all()):
                    break
            matrix = torch.where(real, (logits + x.unsqueeze(2) + y.unsqueeze(1)).exp(), 0.0)
            f, g = x * epsilon.unsqueeze(1), y * epsilon.unsqueeze(1)
            empty = ~rows.any(1) & (((a > 0).any(1) | (b > 0).any(1)) & ~solvable)
            return TransportPlan(
                problem,
                matrix,
                f,
                g,
                marginal_error(matrix, a, b),
                iterations,
                (change <= self.tolerance) & ~empty,
                epsilon,
            )


def _log_mass(logits: Float[Tensor, "B k"], kept: Tensor) -> Float[Tensor, "B 1"]:
    return logits.masked_fill(~kept, -torch.inf).logsumexp(1, keepdim=True)
