"""Costs of aligning a student's token with a teacher's token; each is 0 for equal vectors.

Shape legend: B pairs, n student tokens, m teacher tokens, d dimensions, k dimensions of a subspace.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

Cost = Callable[[Float[Tensor, "B n d"], Float[Tensor, "B m d"]], Float[Tensor, "B n m"]]

_TINY = 1e-12  # smaller squared distances count as 0, since the derivative of the root is unbounded there


def cosine_cost(source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]) -> Float[Tensor, "B n m"]:
    """1 - cos of normalised vectors, in float32 or better, also under autocast."""
    with torch.autocast(source.device.type, enabled=False):
        return 1 - _wide(source) @ _wide(target).mT


def squared_euclidean_cost(
    source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]
) -> Float[Tensor, "B n m"]:
    """|s - t|^2, which is twice the cosine cost for unit vectors; in float32 or better."""
    with torch.autocast(source.device.type, enabled=False):
        source, target = _wide(source), _wide(target)
        squares = source.square().sum(-1).unsqueeze(2) + target.square().sum(-1).unsqueeze(1)
        return (squares - 2 * source @ target.mT).clamp(min=0)


def euclidean_cost(source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]) -> Float[Tensor, "B n m"]:
    """|s - t|; its gradient has length 1 at any distance, and is 0 for equal vectors."""
    squared = squared_euclidean_cost(source, target)
    apart = squared > _TINY
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


COSTS: dict[str, Cost] = {
    "cosine": cosine_cost,
    "squared_euclidean": squared_euclidean_cost,
    "euclidean": euclidean_cost,
}


class SubspaceCost(nn.Module):
    """|U s - U t|^2 with k orthonormal rows U, learned so as to maximise the transport cost.

    Projection robust transport: max over U of min over plans P of <P, C_U> (Paty and Cuturi 2019, arXiv
    1901.08949). The gradient of U is reversed, so that U ascends while the student descends; if both descended,
    U would project all tokens onto one point. U is discarded after training. With k = d this is the squared
    Euclidean cost for every U.

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
    """The identity with the gradient reversed."""

    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return -gradient


def _wide(vectors: Tensor) -> Tensor:
    return vectors.to(torch.promote_types(vectors.dtype, torch.float32))
