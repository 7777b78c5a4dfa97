"""Entropic optimal transport by Sinkhorn's iteration."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from optical_sweeps.transport._scaling import Masked, Solution, anneal
from optical_sweeps.transport.gradients import implicit_plan, unrolled_plan
from optical_sweeps.transport.plan import TransportPlan, marginal_error
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.rounding import round_to_polytope
from optical_sweeps.transport.spread import Spread, cost_spread

Gradient = Literal["detached", "implicit", "unrolled"]
_Solved = tuple[Solution, Float[Tensor, " B"], Float[Tensor, " B"]]  # with epsilons and marginal errors

_NEGLIGIBLE = 1e-35  # shares of the mass below it are 0, lest float32 has a denormal for them
_LEAST_EPSILON = 1e-10  # of the largest cost: below, float64 duals cannot tell exponents apart


@dataclass(frozen=True)
class Sinkhorn:
    """min over U(a, b) of <P, C> - epsilon H(P), with H(P) = -sum P log P (Cuturi 2013).

    Scaling iterations on a kernel, annealed by halving epsilon from the spread of the costs (Schmitzer
    2019), and Newton steps on the semi-dual for problems that iterate slowly.

    Args:
        epsilon: regularisation, in units of the cost, or of its spread if `epsilon_relative_to` is set. Raised
            to 1e-10 of a problem's largest cost where it is less; the plan says what was used.
        epsilon_relative_to: spread of each problem's real cost entries: `std`, `range` (max - min) or
            `mean` (of magnitudes); `none` takes `epsilon` as absolute. It counts as a constant in gradients.
        max_iterations: iterations and Newton steps after which a problem is left unconverged.
        tolerance: marginal error (L1, as a share of the mass) at which a problem is done.
        newton: whether Newton's method may finish.
        rounding: move the plan onto the polytope at the end, so that its marginals hold also unconverged.
        gradient: what the plan's matrix passes back: nothing (`detached`; the plan's cost then has the
            gradient P in C), the derivative of the optimal plan (`implicit`), or that of the iterations
            (`unrolled`, in the log domain and without annealing). The gradient of the regularised optimum
            itself is `TransportPlan.regularised_cost`, whatever is chosen here.
        implementation: `compiled` (numba, problems in parallel on the CPU), `tensor` (torch, any device),
            `fused` (one Triton program a problem, for GPUs; float32, up to 128 tokens a side, else `tensor`),
            or `auto`: compiled on the CPU, tensor elsewhere.

    Raises:
        ValueError: epsilon or tolerance is not positive, or max_iterations is.

    >>> problem = TransportProblem.uniform(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    >>> Sinkhorn(epsilon=1.0)(problem).matrix
    tensor([[[0.3655, 0.1345],
             [0.1345, 0.3655]]])
    """

    epsilon: float = 0.05
    epsilon_relative_to: Spread = "none"
    max_iterations: int = 1000
    tolerance: float = 1e-6
    newton: bool = True
    rounding: bool = False
    gradient: Gradient = "detached"
    implementation: Literal["auto", "compiled", "tensor", "fused"] = "auto"

    def __post_init__(self) -> None:
        if not self.epsilon > 0 or not self.tolerance > 0 or self.max_iterations < 1:
            raise ValueError("epsilon, tolerance and max_iterations must be positive")

    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """Solve every problem of the batch, in float32 at least, also inside autocast.

        A problem that cannot be solved (a cost that is not finite between real tokens, mass on one side
        alone) gets a zero plan and says that it did not converge.
        """
        with torch.autocast(problem.cost.device.type, enabled=False):
            with torch.no_grad():
                plan = self._solve(problem)
            if self.gradient == "detached":
                return plan
            make = implicit_plan if self.gradient == "implicit" else unrolled_plan
            return make(plan)

    def _solve(self, problem: TransportProblem) -> TransportPlan:
        compiled = self.implementation == "compiled" or (
            self.implementation == "auto" and problem.cost.device.type == "cpu"
        )
        # float32 plans are written with an error of up to 1e-7; the margin keeps them within the tolerance
        target = 0.5 * self.tolerance
        solution, epsilon, error = (self._compiled if compiled else self._tensors)(problem, target)
        matrix, a, b = solution.matrix, problem.a.to(problem.dtype), problem.b.to(problem.dtype)
        mass = torch.maximum(a.sum(1), b.sum(1))
        converged = error <= self.tolerance * mass.clamp(min=torch.finfo(a.dtype).tiny)
        if self.rounding:
            solvable = (matrix.sum((1, 2)) > 0).unsqueeze(1)
            matrix = round_to_polytope(matrix, a * solvable, b * solvable)
            error = marginal_error(matrix, a, b)
        return TransportPlan(
            problem, matrix, solution.f, solution.g, error, solution.iterations, converged, epsilon
        )

    def _tensors(self, problem: TransportProblem, target: float) -> _Solved:
        masked = Masked.of(problem)
        epsilon = self.epsilon * cost_spread(masked.cost, masked.mask > 0, self.epsilon_relative_to)
        if masked.cost.numel():
            epsilon = torch.maximum(epsilon, _LEAST_EPSILON * masked.cost.abs().amax((1, 2)))
        solution = self._annealed(masked, epsilon, target)
        mass = problem.a.to(problem.dtype).sum(1)
        f = solution.f + torch.where(masked.a > 0, (epsilon * mass.clamp(min=1e-30).log()).unsqueeze(1), 0.0)
        f, g = f * (masked.a > 0), solution.g * (masked.b > 0)
        matrix = solution.matrix * mass[:, None, None]
        matrix = matrix * (solution.matrix > _NEGLIGIBLE)
        error = marginal_error(matrix, problem.a.to(problem.dtype), problem.b.to(problem.dtype))
        return Solution(matrix, f, g, solution.iterations), epsilon, error

    def _annealed(self, masked: Masked, epsilon: Float[Tensor, " B"], target: float) -> Solution:
        if self.implementation == "fused" and masked.cost.dtype == torch.float32 and masked.cost.numel():
            from optical_sweeps.transport._fused import LONGEST_SIDE, anneal_fused

            if max(masked.cost.shape[1:]) <= LONGEST_SIDE:
                return anneal_fused(masked, epsilon, target, self.max_iterations, self.newton)
        return anneal(masked, epsilon, target, self.max_iterations, self.newton)

    def _compiled(self, problem: TransportProblem, target: float) -> _Solved:
        from optical_sweeps.transport._compiled import over_problems
        from optical_sweeps.transport._sinkhorn_kernels import SPREADS, solve_range

        device = problem.cost.device
        cost, a, b = (tensor.cpu().contiguous().numpy() for tensor in problem.detached_tensors())
        batch, n, m = cost.shape
        matrix, f, g = np.empty_like(cost), np.empty((batch, n), a.dtype), np.empty((batch, m), a.dtype)
        error, epsilons = np.empty(batch, a.dtype), np.empty(batch, a.dtype)
        iterations = np.empty(batch, np.int64)

        def kernel(start: int, stop: int) -> None:
            solve_range(
                cost, a, b, matrix, f, g, error, iterations, epsilons, start, stop, float(self.epsilon),
                SPREADS[self.epsilon_relative_to], _LEAST_EPSILON, target, self.max_iterations, self.newton,
            )  # fmt: skip

        over_problems(kernel, batch, cost.size, None)
        tensors = [torch.from_numpy(x).to(device) for x in (matrix, f, g, iterations, epsilons, error)]
        return Solution(*tensors[:4]), tensors[4], tensors[5]
