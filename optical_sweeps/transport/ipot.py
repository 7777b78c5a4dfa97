"""Inexact proximal point iteration for optimal transport."""

import torch

from optical_sweeps.checks import Count, PositiveFloat
from optical_sweeps.settings import settings
from optical_sweeps.transport._scaling import Masked
from optical_sweeps.transport.plan import TransportPlan, marginal_error
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.rounding import round_to_polytope

_FLOOR = 1e-30  # least plan entry; without it, entries that vanish would become denormals


@settings("solver")
class Ipot:
    """P_k+1 = argmin over U(a, b) of <P, C> + beta KL(P | P_k), solved inexactly (Xie et al. 2020).

    If the inner problems were solved exactly, k steps at beta would give Sinkhorn's plan at epsilon = beta / k,
    which the plan reports as its epsilon. The paper proposes one inner iteration per step.

    Args:
        beta: weight of the proximal term, in units of the cost.
        steps: number of proximal steps.
        inner_iterations: scaling iterations per step.
        tolerance: marginal error (L1, as a share of the mass) at which a problem has converged.
        rounding: project the plan onto the polytope at the end.

    >>> problem = TransportProblem.uniform(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    >>> Ipot()(problem).matrix
    tensor([[[0.5000, 0.0000],
             [0.0000, 0.5000]]])
    """

    beta: PositiveFloat = 0.5
    steps: Count = 50
    inner_iterations: Count = 1
    tolerance: PositiveFloat = 1e-3
    rounding: bool = False

    @torch.no_grad()
    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """Run all steps on every problem; gradients are not tracked through the plan."""
        with torch.autocast(problem.cost.device.type, enabled=False):
            masked = Masked.of(problem)
            a, b = masked.a.unsqueeze(1), masked.b.unsqueeze(1)
            pad_a, pad_b = (a == 0).to(a.dtype), (b == 0).to(b.dtype)
            lowest = torch.where(masked.mask > 0, masked.cost, torch.inf).flatten(1)
            lowest = lowest.amin(1).nan_to_num(0.0, posinf=0.0) if lowest.shape[1] else masked.a.sum(1)
            # Subtracting a constant from the cost changes no plan and keeps the exponentials at or below 1.
            shifted = (masked.cost - lowest[:, None, None]) / self.beta
            decay = shifted.clamp_(0.0, 46.0).neg_().exp_().mul_(masked.mask)
            kernel = masked.mask.clone()
            v = b.clone()
            log_u, log_v = torch.zeros_like(a), torch.zeros_like(b)
            for _ in range(self.steps):
                kernel = (kernel * decay).clamp_(min=_FLOOR).mul_(masked.mask)
                for _ in range(self.inner_iterations):
                    u = a / torch.baddbmm(pad_a, v, kernel.mT)
                    v = b / torch.baddbmm(pad_b, u, kernel)
                kernel = kernel * u.mT * v
                log_u += torch.where(u > 0, u, 1.0).log()
                log_v += torch.where(v > 0, v, 1.0).log()
                # The next step starts from v, because the duals grow by the same amount in every step.
            epsilon = self.beta / self.steps
            mass = problem.a.to(problem.dtype).sum(1)
            kernel = kernel * (kernel > 10 * _FLOOR)
            plan, a, b = kernel * mass[:, None, None], problem.a.to(problem.dtype), problem.b.to(problem.dtype)
            error = marginal_error(plan, a, b)
            converged = error <= self.tolerance * torch.maximum(mass, b.sum(1))
            if self.rounding:
                solved = masked.mask.any(2).any(1, keepdim=True)
                plan = round_to_polytope(plan, a * solved, b * solved)
                error = marginal_error(plan, a, b)
            f = (epsilon * log_u.squeeze(1) + lowest.unsqueeze(1)) * (masked.a > 0)
            return TransportPlan(
                problem,
                plan,
                f,
                epsilon * log_v.squeeze(1) * (masked.b > 0),
                error,
                torch.full_like(error, self.steps, dtype=torch.int64),
                converged,
                torch.full_like(error, epsilon),
            )
