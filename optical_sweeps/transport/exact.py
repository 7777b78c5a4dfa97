"""Exact optimal transport on the CPU."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem

_MARGINAL_TOLERANCE = 1e-5  # of the mass; what float32 marginals that should sum to 1 may miss it by


@dataclass(frozen=True)
class Exact:
    """min over U(a, b) of <P, C>, solved exactly by successive shortest paths, or by POT's network simplex.

    Costs are resolved to 2^-26 of a problem's largest for float32 and 2^-55 for float64; uniform and rational
    masses are exact. The plan is a vertex: at most n + m - 1 entries are positive. Problems on another
    device are solved on the CPU and brought back.

    Args:
        method: `augmenting` (compiled by numba at first use) or `simplex` (POT's `emd` in a loop).
        threads: over which to spread the problems; None takes as many as torch does.

    >>> problem = TransportProblem.uniform(torch.tensor([[[0.0, 1.0], [1.0, 3.0]]]))
    >>> Exact()(problem).hard_alignment
    tensor([[1, 0]])
    """

    method: Literal["augmenting", "simplex"] = "augmenting"
    threads: int | None = None

    def __call__(self, problem: TransportProblem) -> TransportPlan:
        """The optimal plan of each problem; gradients are not tracked through it.

        A problem with a cost that is not finite between real tokens, or with mass on one side alone, has
        no plan: its matrix is zero and it says that it did not converge.
        """
        device = problem.cost.device
        cost, a, b = (tensor.cpu().contiguous().numpy() for tensor in problem.detached_tensors())
        arrays = _Arrays.empty(cost)
        if self.method == "augmenting":
            _augment(cost, a, b, arrays, self.threads)
            for index in np.flatnonzero(arrays.phases < 0).tolist():  # never seen: the bound is no proof
                _simplex(cost, a, b, arrays, index)
        else:
            for index in range(len(cost)):
                _simplex(cost, a, b, arrays, index)
        mass = np.maximum(a.sum(1), b.sum(1))
        tolerance = max(_MARGINAL_TOLERANCE, 4 * torch.finfo(problem.a.dtype).eps)
        converged = (arrays.status == 1) & (arrays.error <= tolerance * mass)
        matrix, f, g, error, phases, converged_ = (
            torch.from_numpy(array).to(device)
            for array in (arrays.matrix, arrays.f, arrays.g, arrays.error, arrays.phases, converged)
        )
        return TransportPlan(problem, matrix, f, g, error, phases, converged_, torch.zeros_like(error))


@dataclass(frozen=True)
class _Arrays:
    """What the kernels fill."""

    matrix: np.ndarray
    f: np.ndarray
    g: np.ndarray
    error: np.ndarray
    phases: np.ndarray
    status: np.ndarray

    @classmethod
    def empty(cls, cost: np.ndarray) -> "_Arrays":
        batch, n, m = cost.shape
        return cls(
            np.empty_like(cost),
            np.empty((batch, n), cost.dtype),
            np.empty((batch, m), cost.dtype),
            np.empty(batch, cost.dtype),
            np.empty(batch, np.int64),
            np.empty(batch, np.int8),
        )


def _augment(cost: np.ndarray, a: np.ndarray, b: np.ndarray, arrays: _Arrays, threads: int | None) -> None:
    from optical_sweeps.transport._compiled import over_problems
    from optical_sweeps.transport._exact_kernels import solve_range

    # Costs fill +-2^unit; duals and distances stay within a few times that, `big` is beyond any of them, and
    # `gone` so far beyond that no closed column comes back below `big`, yet no sum overflows.
    wide = cost.dtype == np.float64
    word, unit, big_bits = (np.int64, 55, 60) if wide else (np.int32, 26, 30)
    big = word(1 << big_bits)
    gone = word(3 << (big_bits - 1))
    precision = float(4 * np.finfo(cost.dtype).eps)

    def kernel(start: int, stop: int) -> None:
        solve_range(
            cost, cost.view(word), a, b, arrays.matrix, arrays.f, arrays.g, arrays.error, arrays.phases,
            arrays.status, start, stop, unit, big, gone, precision,
        )  # fmt: skip

    over_problems(kernel, len(cost), cost.size, threads)


def _simplex(cost: np.ndarray, a: np.ndarray, b: np.ndarray, arrays: _Arrays, index: int) -> None:
    """POT's network simplex on one problem."""
    import ot

    rows, columns = np.flatnonzero(a[index] > 0), np.flatnonzero(b[index] > 0)
    arrays.matrix[index], arrays.f[index], arrays.g[index], arrays.phases[index] = 0, 0, 0, 0
    masses_a, masses_b = a[index, rows].astype(np.float64), b[index, columns].astype(np.float64)
    entries = cost[index][np.ix_(rows, columns)].astype(np.float64)
    arrays.status[index] = len(rows) == len(columns) == 0
    if len(rows) and len(columns) and np.isfinite(entries).all():
        plan, log = ot.emd(masses_a, masses_b * (masses_a.sum() / masses_b.sum()), entries, log=True)
        arrays.matrix[index][np.ix_(rows, columns)] = plan
        arrays.f[index, rows], arrays.g[index, columns] = log["u"], log["v"]
        arrays.status[index] = log["warning"] is None
    arrays.error[index] = max(
        np.abs(arrays.matrix[index].sum(1, dtype=np.float64) - a[index]).sum(),
        np.abs(arrays.matrix[index].sum(0, dtype=np.float64) - b[index]).sum(),
    )
