"""Exact optimal transport on the CPU."""

import numpy as np
import torch

from optical_sweeps.checks import Count
from optical_sweeps.settings import settings
from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem

_MARGINAL_TOLERANCE = 1e-5  # share of the mass by which float32 marginals may miss a sum of 1


@settings("solver")
class Exact:
    """min over U(a, b) of <P, C>, solved exactly by successive shortest paths.

    Costs are resolved to 2^-26 of a problem's largest cost for float32 and to 2^-55 for float64; uniform and
    rational masses are exact. The plan is a vertex of the polytope: at most n + m - 1 entries are positive.
    Problems on another device are solved on the CPU and copied back. numba compiles the solver at first use.

    Args:
        threads: number of threads that share the problems; None uses as many as torch does.

    >>> problem = TransportProblem.uniform(torch.tensor([[[0.0, 1.0], [1.0, 3.0]]]))
    >>> Exact()(problem).hard_alignment
    tensor([[1, 0]])
    """

    threads: Count | None = None

    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """The optimal plan of each problem; gradients are not tracked through it.

        A problem without a plan (a cost between real tokens that is not finite, or mass on one side only)
        gets a zero matrix and `converged` False.
        """
        from optical_sweeps.transport._exact_kernels import SOLVED, solve_range
        from optical_sweeps.transport._threads import over_problems

        device = problem.cost.device
        cost, a, b = (tensor.cpu().contiguous().numpy() for tensor in problem.detached_tensors())
        batch, n, m = cost.shape
        matrix, f, g = np.empty_like(cost), np.empty((batch, n), cost.dtype), np.empty((batch, m), cost.dtype)
        error, phases = np.empty(batch, cost.dtype), np.empty(batch, np.int64)
        status = np.empty(batch, np.int8)
        # Costs fill +-2^unit. Duals and distances stay within a few times that: `big` is beyond all of them,
        # and `gone` is so far beyond `big` that no closed column returns below it, yet no sum overflows.
        word, unit, big_bits = (np.int64, 55, 60) if cost.dtype == np.float64 else (np.int32, 26, 30)
        big, gone = word(1 << big_bits), word(3 << (big_bits - 1))
        precision = float(4 * np.finfo(cost.dtype).eps)

        def kernel(start: int, stop: int) -> None:
            solve_range(
                cost, cost.view(word), a, b, matrix, f, g, error, phases, status, start, stop, unit, big, gone,
                precision,
            )  # fmt: skip

        over_problems(kernel, batch, cost.size, self.threads)
        tolerance = max(_MARGINAL_TOLERANCE, 4 * torch.finfo(problem.a.dtype).eps)
        converged = (status == SOLVED) & (error <= tolerance * np.maximum(a.sum(1), b.sum(1)))
        arrays = (matrix, f, g, error, phases, converged, np.zeros_like(error))
        return TransportPlan(problem, *(torch.from_numpy(array).to(device) for array in arrays))
