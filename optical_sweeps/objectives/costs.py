"""What it costs to align a student's token with a teacher's. All are 0 for equal vectors.

Shape legend: B pairs, n student tokens, m teacher tokens, d dimensions, k of a subspace.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Cost = Callable[[Float[Tensor, "B n d"], Float[Tensor, "B m d"]], Float[Tensor, "B n m"]]

_TINY = 1e-12  # below it a squared distance counts as 0: the root's derivative has no bound there


def cosine_cost(source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]) -> Float[Tensor, "B n m"]:
    """1 - cos for vectors that are normalised already; in float32 at least, whatever the autocast."""
    with torch.autocast(source.device.type, enabled=False):
        return 1 - _wide(source) @ _wide(target).mT


def squared_euclidean_cost(
    source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]
) -> Float[Tensor, "B n m"]:
    """|s - t|^2, for unit vectors twice the cosine cost; in float32 at least."""
    with torch.autocast(source.device.type, enabled=False):
        source, target = _wide(source), _wide(target)
        squares = source.square().sum(-1).unsqueeze(2) + target.square().sum(-1).unsqueeze(1)
        return (squares - 2 * source @ target.mT).clamp(min=0)


def euclidean_cost(source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]) -> Float[Tensor, "B n m"]:
    """|s - t|; its gradient has length 1 however near the vectors are, and is 0 where they are equal."""
    squared = squared_euclidean_cost(source, target)
    apart = squared > _TINY
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


COSTS: dict[str, Cost] = {
    "cosine": cosine_cost,
    "squared_euclidean": squared_euclidean_cost,
    "euclidean": euclidean_cost,
}


class SubspaceCost(nn.Module):
    """|U s - U t|^2 with U of k orthonormal rows, learned to make transport as dear as it can.

    Projection robust transport: max over U of min over plans P of <P, C_U> (Paty and Cuturi 2019, arXiv
    1901.08949). Descending in U as well would end with all tokens projected onto one point, so
    U's gradient is reversed: the student meets its teacher where they differ most. Discarded after training.
    With k = d it is the squared Euclidean cost, whatever U.

    Args:
        dim: d.
        rank: k.
    """

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(rank, dim))

    def forward(self, source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]) -> Float[Tensor, "B n m"]:
        with torch.autocast(source.device.type, enabled=False):
            reversed_weight = _Reversed.apply(self.weight)  # type: ignore[no-untyped-call]
            basis = torch.linalg.qr(reversed_weight.mT).Q.to(_wide(source).dtype)  # d x k
            return squared_euclidean_cost(_wide(source) @ basis, _wide(target) @ basis)


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient has the opposite sign."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


def _wide(vectors: Tensor) -> Tensor:
    return vectors.to(torch.promote_types(vectors.dtype, torch.float32))
