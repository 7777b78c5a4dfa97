"""What a batch spread over several devices shares; on one process everything here is the identity.

Each device takes the mean over its own pairs, and distributed training averages gradients over devices. So
where devices hold equally many pairs, loss and gradient are those of one device with the whole batch.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import pad

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings


def several() -> bool:
    """Whether this process is one of several that train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gathered(rows: Shaped[Tensor, "B ..."]) -> Shaped[Tensor, "G ..."]:
    """The rows of all devices, device after device; differentiable: each gets its rows' gradients of all.

    Devices may hold different numbers of rows; the other axes have to agree.
    """
    if not several():
        return rows
    sizes = _sizes(rows)
    room = pad(rows, (0, 0) * (rows.ndim - 1) + (0, max(sizes) - len(rows)))
    everyone = _AllGather.apply(room)  # type: ignore[no-untyped-call]
    return torch.cat([part[:size] for part, size in zip(everyone, sizes, strict=True)])


def gathered_tokens(tokens: TokenEmbeddings) -> TokenEmbeddings:
    """The token vectors of all devices' texts, padded to the longest of them."""
    if not several():
        return tokens
    width = torch.tensor(tokens.mask.shape[1], device=tokens.mask.device)
    dist.all_reduce(width, dist.ReduceOp.MAX)
    more = int(width) - tokens.mask.shape[1]
    vectors, mask = pad(tokens.vectors, (0, 0, 0, more)), pad(tokens.mask, (0, more))
    return TokenEmbeddings(gathered(vectors), gathered(mask.to(torch.uint8)).bool())


def first_row(rows: Shaped[Tensor, "B ..."]) -> int:
    """Where this device's rows begin among those of all."""
    return sum(_sizes(rows)[: dist.get_rank()]) if several() else 0


def mean_vector(vectors: Float[Tensor, "N d"]) -> Float[Tensor, " d"]:
    """The mean over the rows of all devices, without gradient across them."""
    if not several():
        return vectors.mean(0)
    total = torch.cat([vectors.detach().sum(0), vectors.new_tensor([float(len(vectors))])])
    dist.all_reduce(total)
    return total[:-1] / total[-1]


def _sizes(rows: Tensor) -> list[int]:
    own = torch.tensor([len(rows)], device=rows.device)
    everyone = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(everyone, own)
    return [int(size) for size in everyone]


class _AllGather(torch.autograd.Function):
    """all_gather whose backward sums over devices: each one's loss may depend on everybody's rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        everyone = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(everyone, rows.contiguous())
        return torch.stack(everyone)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]
