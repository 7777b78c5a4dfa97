"""Entropic optimal transport by Sinkhorn's iteration."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from optical_sweeps.checks import Count, PositiveFloat
from optical_sweeps.settings import settings
from optical_sweeps.transport._scaling import Masked, Solution, anneal
from optical_sweeps.transport.plan import TransportPlan, marginal_error
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.rounding import round_to_polytope
from optical_sweeps.transport.spread import Spread, cost_spread

_Solved = tuple[Solution, Float[Tensor, " B"], Float[Tensor, " B"]]  # with epsilons and marginal errors

_NEGLIGIBLE = 1e-35  # share of the mass below which an entry becomes 0, because float32 would store a denormal
_LEAST_EPSILON = 1e-10  # share of the largest cost below which float64 duals cannot tell exponents apart


@settings("solver")
class Sinkhorn:
    """min over U(a, b) of <P, C> - epsilon H(P), with H(P) = -sum P log P (Cuturi 2013).

    The plan is a constant; `implicit_plan` and `unrolled_plan` make it differentiable.

    The solver applies scaling iterations to a kernel, halves epsilon step by step from the spread of the costs
    (Schmitzer 2019), and finishes slow problems with Newton steps on the semi-dual.

    Args:
        epsilon: regularisation in units of the cost, or of its spread if `epsilon_relative_to` is set. The
            solver raises it to 1e-10 of a problem's largest cost if necessary; see `TransportPlan.epsilon`.
        epsilon_relative_to: spread of each problem's real cost entries: `std`, `range` (max - min) or `mean`
            (of magnitudes). `none` makes `epsilon` absolute. Gradients treat the spread as a constant.
        max_iterations: largest number of iterations and Newton steps per problem.
        tolerance: marginal error (L1, as a share of the mass) at which a problem has converged.
        newton: whether slow problems are finished with Newton's method.
        rounding: project the plan onto the polytope at the end, so that its marginals hold even if the problem
            did not converge.
        implementation: `compiled` (numba, problems in parallel on the CPU), `tensor` (torch, any device),
            `fused` (Triton, one program per problem, for GPUs; float32 and up to 128 tokens a side, otherwise
            `tensor`), or `auto` (compiled on the CPU, tensor elsewhere).

    >>> problem = TransportProblem.uniform(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    >>> Sinkhorn(epsilon=1.0)(problem).matrix
    tensor([[[0.3655, 0.1345],
             [0.1345, 0.3655]]])
    """

    epsilon: PositiveFloat = 0.05
    epsilon_relative_to: Spread = "none"
    max_iterations: Count = 1000
    tolerance: PositiveFloat = 1e-6
    newton: bool = True
    rounding: bool = False
    implementation: Literal["auto", "compiled", "tensor", "fused"] = "auto"

    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """Solve every problem of the batch in float32 or better, also inside autocast.

        A problem without a plan (a cost between real tokens that is not finite, or mass on one side only)
        gets a zero matrix and `converged` False.
        """
        with torch.autocast(problem.cost.device.type, enabled=False), torch.no_grad():
            return self._solve(problem)

    def _solve(self, problem: TransportProblem) -> TransportPlan:
        compiled = self.implementation == "compiled" or (
            self.implementation == "auto" and problem.cost.device.type == "cpu"
        )
        # Storing a plan in float32 adds an error of up to 1e-7; the margin keeps it within the tolerance.
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
        from optical_sweeps.transport._sinkhorn_kernels import SPREADS, solve_range
        from optical_sweeps.transport._threads import over_problems

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
