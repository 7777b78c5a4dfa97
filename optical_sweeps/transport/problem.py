"""Batches of small, ragged, masked discrete optimal-transport problems.

Shape legend of this package: B problems, n source tokens, m target tokens.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TransportProblem:
    """min over P >= 0 with P 1 = a and P' 1 = b of <P, cost>, for each problem of a batch.

    A token without mass is padding: its row or column of `cost` may hold any value, including inf and NaN.

    Args:
        cost: ground cost of moving mass from source token i to target token j.
        a: source marginal; each row sums to the mass of the problem, usually 1 (0 for an empty problem).
        b: target marginal; each row sums to the same mass.

    Raises:
        ValueError: the shapes or devices do not match, or a tensor is not floating point.

    >>> problem = TransportProblem.uniform(torch.rand(2, 3, 4))
    >>> problem.a[0], problem.b[0]
    (tensor([0.3333, 0.3333, 0.3333]), tensor([0.2500, 0.2500, 0.2500, 0.2500]))
    """

    cost: Float[Tensor, "B n m"]
    a: Float[Tensor, "B n"]
    b: Float[Tensor, "B m"]

    def __post_init__(self) -> None:
        if self.cost.ndim != 3:
            raise ValueError(f"cost has shape {tuple(self.cost.shape)}, expected [B, n, m]")
        batch, n, m = self.cost.shape
        for name, side, size in (("a", self.a, n), ("b", self.b, m)):
            if tuple(side.shape) != (batch, size):
                raise ValueError(
                    f"{name} has shape {tuple(side.shape)}, expected {(batch, size)} for this cost"
                )
            if side.device != self.cost.device:
                raise ValueError(f"{name} is on {side.device}, the cost on {self.cost.device}")
        if not all(tensor.is_floating_point() for tensor in (self.cost, self.a, self.b)):
            raise ValueError("cost and marginals must be floating point")

    @classmethod
    def uniform(
        cls,
        cost: Float[Tensor, "B n m"],
        source_mask: Bool[Tensor, "B n"] | None = None,
        target_mask: Bool[Tensor, "B m"] | None = None,
    ) -> "TransportProblem":
        """Uniform marginals over the real tokens of each side; without a mask, all tokens are real."""
        return cls(cost, _uniform(source_mask, cost, 1), _uniform(target_mask, cost, 2))

    @classmethod
    def from_lengths(
        cls,
        cost: Float[Tensor, "B n m"],
        source_lengths: Int[Tensor, " B"],
        target_lengths: Int[Tensor, " B"],
    ) -> "TransportProblem":
        """Uniform marginals over the first `length` tokens of each side.

        >>> cost = torch.rand(1, 3, 2)
        >>> TransportProblem.from_lengths(cost, torch.tensor([2]), torch.tensor([2])).a
        tensor([[0.5000, 0.5000, 0.0000]])
        """
        masks = (
            torch.arange(size, device=cost.device) < lengths.to(cost.device).unsqueeze(1)
            for size, lengths in zip(cost.shape[1:], (source_lengths, target_lengths), strict=True)
        )
        return cls.uniform(cost, *masks)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the solvers: that of the cost, but at least float32."""
        return torch.promote_types(self.cost.dtype, torch.float32)

    @cached_property
    def source_mask(self) -> Bool[Tensor, "B n"]:
        """Source tokens that carry mass, in problems that have mass on both sides."""
        return (self.a > 0) & (self.b > 0).any(1, keepdim=True)

    @cached_property
    def target_mask(self) -> Bool[Tensor, "B m"]:
        """Target tokens that carry mass, in problems that have mass on both sides."""
        return (self.b > 0) & (self.a > 0).any(1, keepdim=True)

    @cached_property
    def mask(self) -> Bool[Tensor, "B n m"]:
        """Pairs of real tokens."""
        return self.source_mask.unsqueeze(2) & self.target_mask.unsqueeze(1)

    def detached_tensors(
        self,
    ) -> tuple[Float[Tensor, "B n m"], Float[Tensor, "B n"], Float[Tensor, "B m"]]:
        """Cost and marginals without gradients, in the solvers' precision."""
        return (
            self.cost.detach().to(self.dtype),
            self.a.detach().to(self.dtype),
            self.b.detach().to(self.dtype),
        )


def _uniform(mask: Bool[Tensor, "B n"] | None, cost: Tensor, axis: int) -> Float[Tensor, "B n"]:
    dtype = torch.promote_types(cost.dtype, torch.float32)
    if mask is None:
        size = cost.shape[axis]
        return torch.full((len(cost), size), 1 / max(size, 1), dtype=dtype, device=cost.device)
    counted = mask.to(dtype)
    return counted / counted.sum(-1, keepdim=True).clamp(min=1)
