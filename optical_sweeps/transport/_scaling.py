"""Sinkhorn's iteration as batched tensor operations, for any device.

Shape legend: B problems, n source tokens, m target tokens. Duals f and g are in units of the cost.

The code follows the cost of the operations. `where` and `masked_fill` take six times as long as a product, so
padding is excluded by one mask multiplied into the kernel and by adding 1 to padded sums. `v @ K'` with a row
vector is three times as fast as `K @ v` with a column vector. Clamped exponents avoid denormals.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.spread import cost_spread

_LEAST_EXPONENT = -46.0  # e^-46 = 1e-20 is below any mass and above any denormal
_ITERATIONS_A_STAGE = 4
_REVIEW = 10  # iterations between two checks of the errors; each check waits for the device
_LOST = 1e4  # larger scalings are absorbed into the duals, so that the clamp never biases a plan
_NEWTON_STEPS = 100
_PATIENCE = 60  # iterations at the last temperature before Newton's method takes over


@dataclass(frozen=True)
class Solution:
    """Plans and duals of a batch, with the iterations spent on each problem."""

    matrix: Float[Tensor, "B n m"]
    f: Float[Tensor, "B n"]
    g: Float[Tensor, "B m"]
    iterations: Int[Tensor, " B"]


@dataclass(frozen=True)
class Masked:
    """A problem prepared for the iterations: zeros at padding, masses of 1, unsolvable problems emptied."""

    cost: Float[Tensor, "B n m"]
    a: Float[Tensor, "B n"]
    b: Float[Tensor, "B m"]
    mask: Float[Tensor, "B n m"]

    @classmethod
    def of(cls, problem: TransportProblem) -> "Masked":
        """Without gradients; a problem with a real cost that is not finite becomes empty."""
        cost, a, b = problem.detached_tensors()
        solvable = (cost.isfinite() | ~problem.mask).flatten(1).all(1)
        mask = problem.mask & solvable[:, None, None]
        rows, columns = mask.any(2), mask.any(1)
        a, b = a.masked_fill(~rows, 0.0), b.masked_fill(~columns, 0.0)
        return cls(
            cost.masked_fill(~mask, 0.0),
            a / a.sum(1, keepdim=True).clamp(min=torch.finfo(a.dtype).tiny),
            b / b.sum(1, keepdim=True).clamp(min=torch.finfo(b.dtype).tiny),
            mask.to(cost.dtype),
        )

    def select(self, index: Int[Tensor, " K"]) -> "Masked":
        return Masked(self.cost[index], self.a[index], self.b[index], self.mask[index])

    def double(self) -> "Masked":
        return Masked(self.cost.double(), self.a.double(), self.b.double(), self.mask.double())


def gibbs(
    masked: Masked, f: Float[Tensor, "B n"], g: Float[Tensor, "B m"], epsilon: Float[Tensor, " B"]
) -> Float[Tensor, "B n m"]:
    """exp((f + g - C) / epsilon), 0 at padding."""
    exponent = (f.unsqueeze(2) + g.unsqueeze(1) - masked.cost) / epsilon[:, None, None]
    return exponent.clamp_(_LEAST_EXPONENT, 0.0).exp_().mul_(masked.mask)


def anneal(
    masked: Masked, epsilon: Float[Tensor, " B"], tolerance: float, max_iterations: int, newton: bool
) -> Solution:
    """Solve each problem at its epsilon by annealed scaling; converged problems leave the batch."""
    f, g = c_transform(masked), torch.zeros_like(masked.b)
    spent = 0
    for temperature in _temperatures(masked, epsilon):
        scaling = Scaling.begin(masked, f, g, temperature)
        count = min(_ITERATIONS_A_STAGE, max_iterations - 1 - spent)  # leaves one for the last temperature
        scaling, _ = scaling.iterate(count)
        f, g = scaling.duals()
        spent += count

    iterations = torch.full((len(f),), spent, dtype=torch.int64, device=f.device)
    matrix = torch.empty_like(masked.cost)
    active = torch.arange(len(f), device=f.device)
    scaling = Scaling.begin(masked, f.clone(), g.clone(), epsilon)  # f and g become results below
    while len(active):
        count = min(_REVIEW, max_iterations - spent)
        scaling, error = scaling.iterate(count)
        spent += count
        lost = scaling.lost()
        if bool(lost.any()):
            scaling = scaling.absorbed(lost)
        unfinished = (error > tolerance) | lost
        stop = (newton and spent >= _PATIENCE) or spent >= max_iterations or not bool(unfinished.any())
        if stop or bool(unfinished.float().mean() < 0.75):  # otherwise copying costs more than it saves
            matrix[active], iterations[active] = scaling.plan(), spent
            f[active], g[active] = scaling.duals()
            left = unfinished.nonzero().squeeze(1)
            active, scaling = active[left], scaling.select(left)
        if stop:
            break
    solution = Solution(matrix, f, g, iterations)
    return finished(masked, solution, epsilon, active, tolerance, max_iterations) if newton else solution


def finished(
    masked: Masked,
    solution: Solution,
    epsilon: Float[Tensor, " B"],
    active: Int[Tensor, " K"],
    tolerance: float,
    max_iterations: int,
) -> Solution:
    """Bring the problems `active` of `solution` to the tolerance with Newton's method, in place."""
    if not len(active):
        return solution
    steps = min(max_iterations - int(solution.iterations[active].max()), _NEWTON_STEPS)
    if steps <= 0:
        return solution
    f, g, matrix = solution.f, solution.g, solution.matrix
    part = masked.select(active).double()
    x, y, plans, taken = newton_ascent(part, f[active], g[active], epsilon[active], tolerance, steps)
    f[active], g[active], matrix[active] = x.to(f.dtype), y.to(g.dtype), plans.to(f.dtype)
    solution.iterations[active] += taken
    return solution


def c_transform(masked: Masked) -> Float[Tensor, "B n"]:
    """f_i = min_j C_ij over real j; 0 at padding."""
    if not masked.cost.numel():
        return torch.zeros_like(masked.a)
    closed = (1 - masked.mask) * torch.finfo(masked.cost.dtype).max
    return (masked.cost + closed).amin(2) * (masked.a > 0)


@dataclass(frozen=True)
class Scaling:
    """P = diag(u) K diag(v) with a kernel K that stays fixed while u and v change.

    In float32 this reaches marginal errors of 1e-7; adding logarithms to potentials stalls at 1e-5.
    """

    masked: Masked
    f: Float[Tensor, "B n"]
    g: Float[Tensor, "B m"]
    epsilon: Float[Tensor, " B"]
    kernel: Float[Tensor, "B n m"]
    u: Float[Tensor, "B 1 n"]
    v: Float[Tensor, "B 1 m"]

    @classmethod
    def begin(
        cls,
        masked: Masked,
        f: Float[Tensor, "B n"],
        g: Float[Tensor, "B m"],
        epsilon: Float[Tensor, " B"],
    ) -> "Scaling":
        u, v = torch.ones_like(f).unsqueeze(1), torch.ones_like(g).unsqueeze(1)
        return cls(masked, f, g, epsilon, gibbs(masked, f, g, epsilon), u, v)

    def iterate(self, count: int) -> tuple["Scaling", Float[Tensor, " B"]]:
        """Run `count` iterations; the error is the error of the column sums before the last update."""
        a, b = self.masked.a.unsqueeze(1), self.masked.b.unsqueeze(1)
        pad_a, pad_b = (a == 0).to(a.dtype), (b == 0).to(b.dtype)
        u, v, error = self.u, self.v, torch.full_like(self.epsilon, torch.inf)
        for iteration in range(count):
            u = a / torch.baddbmm(pad_a, v, self.kernel.mT)
            columns = torch.baddbmm(pad_b, u, self.kernel)
            if iteration == count - 1:
                error = (v * columns - b).abs().sum((1, 2)) - (v * pad_b).sum((1, 2))
            v = b / columns
        return replace(self, u=u, v=v), error.clamp(min=0.0)

    def duals(self) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B m"]]:
        scale = self.epsilon.unsqueeze(1)
        log_u, log_v = (torch.where(x > 0, x, 1.0).log().squeeze(1) for x in (self.u, self.v))
        return self.f + scale * log_u, self.g + scale * log_v

    def plan(self) -> Float[Tensor, "B n m"]:
        return self.kernel * self.u.mT * self.v

    def select(self, index: Int[Tensor, " K"]) -> "Scaling":
        tensors = (self.f, self.g, self.epsilon, self.kernel, self.u, self.v)
        return Scaling(self.masked.select(index), *(tensor[index] for tensor in tensors))

    def lost(self) -> Bool[Tensor, " B"]:
        """Problems with scalings so large that clamped entries could matter."""
        if not self.kernel.numel():
            return torch.zeros_like(self.epsilon, dtype=torch.bool)
        return torch.maximum(self.u.amax((1, 2)), self.v.amax((1, 2))) > _LOST

    def absorbed(self, lost: Bool[Tensor, " B"]) -> "Scaling":
        """Rebuild the kernels of `lost` problems from their column duals and exact row duals.

        Other problems keep their kernels, because a kernel from float32 duals would lose their last digit.
        """
        index = lost.nonzero().squeeze(1)
        part = self.select(index)
        _, g = part.duals()
        exponents = (g.unsqueeze(1) - part.masked.cost) / part.epsilon[:, None, None]
        log_sum = torch.where(part.masked.mask > 0, exponents, -torch.inf).logsumexp(2)
        real = part.masked.a > 0
        f = part.epsilon.unsqueeze(1) * (torch.where(real, part.masked.a, 1.0).log() - log_sum)
        fresh = Scaling.begin(part.masked, torch.where(real, f, 0.0), g, part.epsilon)
        changed = {
            name: getattr(self, name).index_copy(0, index, getattr(fresh, name))
            for name in ("f", "g", "kernel", "u", "v")
        }
        return replace(self, **changed)


def first_temperature(masked: Masked) -> Float[Tensor, " B"]:
    """The first epsilon of the annealing, slightly above the standard deviation of the costs."""
    return 1.1 * cost_spread(masked.cost, masked.mask > 0, "std")


def _temperatures(masked: Masked, epsilon: Float[Tensor, " B"]) -> Iterator[Float[Tensor, " B"]]:
    """The epsilons of each problem above its last one, halved step by step from its costs' spread."""
    ratio = (first_temperature(masked) / epsilon).clamp(min=1.0, max=1e30)
    for halvings in range(int(ratio.log2().ceil().max()) if len(ratio) else 0, 0, -1):
        yield epsilon * torch.minimum(ratio, ratio.new_tensor(2.0**halvings))


def newton_ascent(
    masked: Masked,
    f: Float[Tensor, "B n"],
    g: Float[Tensor, "B m"],
    epsilon: Float[Tensor, " B"],
    tolerance: float,
    max_steps: int,
) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B m"], Float[Tensor, "B n m"], Int[Tensor, " B"]]:
    """Maximise the semi-dual of each problem by damped Newton steps in float64."""
    x, y = f.double() / epsilon.double().unsqueeze(1), g.double() / epsilon.double().unsqueeze(1)
    logits = -masked.cost / epsilon.double()[:, None, None]
    logits = torch.where(masked.mask > 0, logits, -torch.inf)
    log_a = torch.where(masked.a > 0, masked.a, 1.0).log()
    step = torch.ones_like(epsilon, dtype=torch.float64)
    taken = torch.zeros_like(step, dtype=torch.int64)
    x, matrix, value, residual = _semi_dual(logits, log_a, masked, y)
    error = residual.abs().sum(1)
    for _ in range(2 * max_steps):
        if bool((error <= tolerance).all()):
            break
        direction = marginal_system(matrix, matrix.sum(2), matrix.sum(1), residual)
        longest = direction.abs().amax(1)
        direction = direction * (step * (20.0 / longest.clamp(min=20.0))).unsqueeze(1)
        trial = y + direction
        trial_x, trial_matrix, trial_value, trial_residual = _semi_dual(logits, log_a, masked, trial)
        trial_error = trial_residual.abs().sum(1)
        better = (trial_value >= value) | (trial_error < 0.9 * error)
        accepted = better & (error > tolerance)
        taken += (error > tolerance).to(taken.dtype)
        step = torch.where(better, 1.0, 0.25 * step)
        row, block = accepted.unsqueeze(1), accepted[:, None, None]
        x, y = torch.where(row, trial_x, x), torch.where(row, trial, y)
        matrix = torch.where(block, trial_matrix, matrix)
        residual = torch.where(row, trial_residual, residual)
        value, error = torch.where(accepted, trial_value, value), torch.where(accepted, trial_error, error)
    scale = epsilon.double().unsqueeze(1)
    return x * scale, y * scale, matrix, taken


def _semi_dual(
    logits: Float[Tensor, "B n m"], log_a: Float[Tensor, "B n"], masked: Masked, y: Float[Tensor, "B m"]
) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n m"], Float[Tensor, " B"], Float[Tensor, "B m"]]:
    """Row duals, row-exact plan, dual value and column residual at the column duals y (units of epsilon)."""
    shifted = logits + y.unsqueeze(1)
    x = torch.where(masked.a > 0, log_a - shifted.logsumexp(2), 0.0)
    matrix = (shifted + x.unsqueeze(2)).exp()
    value = (masked.a * x).sum(1) + (masked.b * y).sum(1)
    return x, matrix, value, masked.b - matrix.sum(1)


def marginal_system(
    matrix: Float[Tensor, "B n m"],
    rows: Float[Tensor, "B n"],
    columns: Float[Tensor, "B m"],
    right: Float[Tensor, "B m"],
) -> Float[Tensor, "B m"]:
    """Solve (diag(columns) - P' diag(1 / rows) P) y = right: how column duals move column sums at fixed rows.

    The matrix is a graph Laplacian, which is singular along constants. A weight in that direction selects the
    solution that sums to zero over real columns. Padded columns get y = 0.
    """
    real = columns > 0
    scaled = matrix / torch.where(rows > 0, rows, 1.0).unsqueeze(2)
    system = torch.diag_embed(torch.where(real, columns * (1 + 1e-13) + 1e-300, 1.0)) - scaled.mT @ matrix
    ones = real.to(matrix.dtype)
    weight = columns.sum(1) / ones.sum(1).clamp(min=1).square()
    system = system + weight[:, None, None] * ones.unsqueeze(2) * ones.unsqueeze(1)
    solution: Tensor = torch.linalg.solve_ex(system, right.unsqueeze(2))[0].squeeze(2)
    return solution.nan_to_num(0.0, posinf=0.0, neginf=0.0) * ones
