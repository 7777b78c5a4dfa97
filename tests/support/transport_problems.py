"""Transport problems for tests of solvers."""

import ot
import torch
from hypothesis import strategies as st

from optical_sweeps.transport import TransportProblem


def random_problem(
    batch: int = 3,
    n: int = 6,
    m: int = 8,
    *,
    seed: int = 0,
    ragged: bool = True,
    uniform: bool = True,
    dtype: torch.dtype = torch.float64,
) -> TransportProblem:
    """Costs 1 - cos of random vectors; every side has at least one real token."""
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(batch, size, 16, generator=generator, dtype=torch.float64) for size in (n, m))
    cost = 1 - torch.cosine_similarity(x.unsqueeze(2), y.unsqueeze(1), dim=-1)
    sides = []
    for size in (n, m):
        mask = torch.rand(batch, size, generator=generator) < 0.7
        mask[:, int(torch.randint(size, (), generator=generator))] = True
        weights = torch.rand(batch, size, generator=generator, dtype=torch.float64) + 0.1
        weights = torch.ones_like(weights) if uniform else weights
        weights = weights * mask if ragged else weights
        sides.append(weights / weights.sum(1, keepdim=True))
    return TransportProblem(cost.to(dtype), sides[0].to(dtype), sides[1].to(dtype))


def permutation_problem(batch: int = 8, n: int = 24, noise: float = 0.15, seed: int = 0) -> TransportProblem:
    """Ragged pairs, one side a noisy permutation of the other with tokens dropped: the hard case."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(batch, n, 64, generator=generator), dim=-1)
    y = x[:, torch.randperm(n, generator=generator)] + noise * torch.randn(batch, n, 64, generator=generator)
    cost = 1 - x @ torch.nn.functional.normalize(y, dim=-1).mT
    lengths = torch.randint(n // 3, n + 1, (2, batch), generator=generator)
    return TransportProblem.from_lengths(cost, lengths[0], lengths[1])


def optimal_costs(problem: TransportProblem) -> torch.Tensor:
    """Exact transport costs by POT's network simplex, as a reference for the solvers."""
    costs = []
    for cost, a, b in zip(problem.cost.double(), problem.a.double(), problem.b.double(), strict=True):
        real = (a > 0).unsqueeze(1) & (b > 0)
        masses = a[a > 0].numpy(), (b[b > 0] * a.sum() / b.sum()).numpy()
        costs.append(ot.emd2(*masses, cost[real].reshape(len(masses[0]), -1).numpy()))
    return torch.tensor(costs, dtype=problem.cost.dtype)


problems = st.builds(
    random_problem,
    batch=st.integers(1, 4),
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    seed=st.integers(0, 10_000),
    ragged=st.booleans(),
    uniform=st.booleans(),
)
"""Any shapes, masks and marginals, in float64."""


def padded(problem: TransportProblem, rows: int, columns: int, fill: float) -> TransportProblem:
    """The same problems with padding interleaved, whose costs are `fill`."""
    batch, n, m = problem.cost.shape
    cost = problem.cost.new_full((batch, n + rows, m + columns), fill)
    a, b = problem.a.new_zeros(batch, n + rows), problem.b.new_zeros(batch, m + columns)
    # padding in front as well as behind
    top, left = rows // 2, columns // 2
    cost[:, top : top + n, left : left + m] = problem.cost
    a[:, top : top + n], b[:, left : left + m] = problem.a, problem.b
    return TransportProblem(cost, a, b)


def unpadded(matrix: torch.Tensor, problem: TransportProblem, rows: int, columns: int) -> torch.Tensor:
    _, n, m = problem.cost.shape
    top, left = rows // 2, columns // 2
    return matrix[:, top : top + n, left : left + m]
