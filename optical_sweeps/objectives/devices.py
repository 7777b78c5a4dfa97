"""Gathering of a batch that is split over several devices; with one process, every function is the identity.

Each device averages over its own pairs, and distributed training averages the gradients of the devices. If all
devices have equally many pairs, loss and gradient are therefore those of one device with the whole batch.

Shape legend: B rows of this device, G rows of all devices.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn.functional import pad

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings


def several() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gathered(rows: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "G ..."]:
    """The rows of all devices, in order of rank; differentiable with respect to the rows of each device.

    Devices may have different numbers of rows; the other axes have to agree.
    """
    if not several():
        return rows
    sizes = _sizes(rows)
    padded = pad(rows, (0, 0) * (rows.ndim - 1) + (0, max(sizes) - len(rows)))
    parts = _AllGather.apply(padded)  # type: ignore[no-untyped-call]
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def gathered_tokens(tokens: TokenEmbeddings) -> TokenEmbeddings:
    """The token vectors of the texts of all devices, padded to the longest text."""
    if not several():
        return tokens
    width = torch.tensor(tokens.mask.shape[1], device=tokens.mask.device)
    dist.all_reduce(width, dist.ReduceOp.MAX)
    more = int(width) - tokens.mask.shape[1]
    vectors, mask = pad(tokens.vectors, (0, 0, 0, more)), pad(tokens.mask, (0, more))
    return TokenEmbeddings(gathered(vectors), gathered(mask.to(torch.uint8)).bool())


def first_row(rows: Shaped[Tensor, "B ..."]) -> int:
    """Position of this device's first row among the rows of all devices."""
    return sum(_sizes(rows)[: dist.get_rank()]) if several() else 0


def mean_vector(vectors: Float[Tensor, "N d"]) -> Float[Tensor, " d"]:
    """The mean over the rows of all devices; across devices it has no gradient."""
    if not several():
        return vectors.mean(0)
    total = torch.cat([vectors.detach().sum(0), vectors.new_tensor([float(len(vectors))])])
    dist.all_reduce(total)
    return total[:-1] / total[-1]


def _sizes(rows: Tensor) -> list[int]:
    size = torch.tensor([len(rows)], device=rows.device)
    sizes = [torch.empty_like(size) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, size)
    return [int(size) for size in sizes]


class _AllGather(torch.autograd.Function):
    """all_gather whose gradient is summed over devices, since every loss may depend on every row."""

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]
