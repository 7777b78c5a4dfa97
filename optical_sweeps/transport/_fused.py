"""Sinkhorn's iteration as one Triton program per problem, with the kernel matrix in registers.

The algorithm is that of `_scaling`: annealing, a fixed kernel with changing scalings, absorption of large
scalings. Iterations access no memory: a program reads its problem once, writes its plan once, and stops as soon
as its own problem has converged.
"""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from optical_sweeps.transport._scaling import Masked, Solution, finished, first_temperature

try:
    import triton
    import triton.language as tl
except ImportError:  # torch without Triton: the module can be imported, but not used
    triton, tl = None, SimpleNamespace(constexpr=int)

LONGEST_SIDE = 128  # 128 x 128 entries take 32 registers in each of 512 threads
_ITERATIONS_A_STAGE = 4
_REVIEW = 10
_PATIENCE = 400  # iterations before Newton's method takes over; they are cheap here


def _program(function: Callable[..., Any]) -> Any:
    """`function` compiled by Triton; tests wrap functions in a run-time type checker."""
    return triton.jit(inspect.unwrap(function)) if triton else function


@_program
def _kernel_matrix(cost_in, entries, inside, a, b, f, g, epsilon):
    """exp((f + g - C) / epsilon); C is read again each time, because keeping it would spill registers."""
    cost = tl.load(cost_in + entries, mask=inside, other=0.0)
    exponent = (f[:, None] + g[None, :] - cost) / epsilon
    exponent = tl.minimum(tl.maximum(exponent, -46.0), 0.0)
    return tl.where((a > 0)[:, None] & (b > 0)[None, :], tl.exp(exponent), 0.0)


@_program
def _log_of_real(x):
    return tl.log(tl.where(x > 0, x, 1.0))


@_program
def _solve(
    cost_in, a_in, b_in, epsilon_in, start_in, matrix_out, f_out, g_out, error_out, iterations_out,
    n, m, tolerance, max_iterations,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, STAGE: tl.constexpr, REVIEW: tl.constexpr,
):  # fmt: skip
    problem = tl.program_id(0)
    i = tl.arange(0, ROWS)
    j = tl.arange(0, COLUMNS)
    entries = problem * n * m + i[:, None] * m + j[None, :]
    inside = (i[:, None] < n) & (j[None, :] < m)
    a = tl.load(a_in + problem * n + i, mask=i < n, other=0.0)
    b = tl.load(b_in + problem * m + j, mask=j < m, other=0.0)
    pad_a = tl.where(a > 0, 0.0, 1.0)
    pad_b = tl.where(b > 0, 0.0, 1.0)
    epsilon = tl.load(epsilon_in + problem)
    temperature = tl.maximum(tl.load(start_in + problem), epsilon)

    f = tl.zeros([ROWS], dtype=tl.float32)
    cost = tl.load(cost_in + entries, mask=inside & (a > 0)[:, None], other=3.0e38)
    g = tl.min(cost, axis=0) * (1.0 - pad_b)
    u = 1.0 - pad_a
    v = 1.0 - pad_b
    spent = 0
    while (temperature > epsilon) & (spent + STAGE < max_iterations):
        kernel = _kernel_matrix(cost_in, entries, inside, a, b, f, g, temperature)
        v = 1.0 - pad_b
        for _ in range(STAGE):
            u = a / (tl.sum(kernel * v[None, :], axis=1) + pad_a)
            v = b / (tl.sum(kernel * u[:, None], axis=0) + pad_b)
        f += temperature * _log_of_real(u)
        g += temperature * _log_of_real(v)
        spent += STAGE
        temperature = tl.maximum(temperature * 0.5, epsilon)

    kernel = _kernel_matrix(cost_in, entries, inside, a, b, f, g, epsilon)
    u = 1.0 - pad_a
    v = 1.0 - pad_b
    error = tolerance * 2.0 + 1.0
    while (error > tolerance) & (spent < max_iterations):
        count = tl.minimum(REVIEW, max_iterations - spent)
        for _ in range(count):
            u = a / (tl.sum(kernel * v[None, :], axis=1) + pad_a)
            columns = tl.sum(kernel * u[:, None], axis=0) + pad_b
            error = tl.sum(tl.abs(v * columns - b) * (1.0 - pad_b), axis=0)
            v = b / columns
        spent += count
        if tl.maximum(tl.max(u, axis=0), tl.max(v, axis=0)) > 1.0e4:
            f += epsilon * _log_of_real(u)
            g += epsilon * _log_of_real(v)
            kernel = _kernel_matrix(cost_in, entries, inside, a, b, f, g, epsilon)
            u = a / (tl.sum(kernel, axis=1) + pad_a)
            v = 1.0 - pad_b
            error = tolerance * 2.0 + 1.0

    tl.store(matrix_out + entries, kernel * u[:, None] * v[None, :], mask=inside)
    tl.store(f_out + problem * n + i, f + epsilon * _log_of_real(u), mask=i < n)
    tl.store(g_out + problem * m + j, g + epsilon * _log_of_real(v), mask=j < m)
    tl.store(error_out + problem, error)
    tl.store(iterations_out + problem, spent)


def anneal_fused(
    masked: Masked, epsilon: Float[Tensor, " B"], tolerance: float, max_iterations: int, newton: bool
) -> Solution:
    """`_scaling.anneal` in float32, for up to 128 tokens a side.

    Raises:
        ImportError: Triton is not installed.
    """
    if not triton:
        raise ImportError("implementation='fused' needs the package triton; use 'tensor'")
    batch, n, m = masked.cost.shape
    cost, a, b = masked.cost.contiguous(), masked.a.contiguous(), masked.b.contiguous()
    matrix, f, g = torch.empty_like(cost), torch.empty_like(a), torch.empty_like(b)
    error, iterations = torch.empty_like(epsilon), torch.empty(batch, dtype=torch.int32, device=cost.device)
    rows, columns = (max(16, triton.next_power_of_2(size)) for size in (n, m))
    limit = min(max_iterations, _PATIENCE) if newton else max_iterations
    _solve[(batch,)](
        cost, a, b, epsilon.contiguous(), first_temperature(masked), matrix, f, g, error, iterations,
        n, m, tolerance, limit,
        ROWS=rows, COLUMNS=columns, STAGE=_ITERATIONS_A_STAGE, REVIEW=_REVIEW,
        num_warps=max(4, rows * columns // 1024),  # fewer warps would spill registers
    )  # fmt: skip
    solution = Solution(matrix, f, g, iterations.to(torch.int64))
    if not newton:
        return solution
    active = (error > tolerance).nonzero().squeeze(1)
    return finished(masked, solution, epsilon, active, tolerance, max_iterations)
