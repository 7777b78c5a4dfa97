"""A queue of teacher texts of earlier steps, as negatives.

Shape legend: B texts of a step, Q texts of the queue.
"""

import torch
from jaxtyping import Int, Int64
from torch import Tensor, nn
from torch.nn.functional import pad

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings


class NegativeQueue(nn.Module):
    """The `size` most recent texts with their ids, as buffers.

    As in He et al. 2020 (MoCo, arXiv 1911.05722), but without a momentum encoder: the teacher is frozen, so
    vectors of earlier steps are still valid.
    """

    vectors: Tensor
    mask: Tensor
    ids: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("vectors", torch.zeros(0, 1, 0))
        self.register_buffer("mask", torch.zeros(0, 1, dtype=torch.bool))
        self.register_buffer("ids", torch.zeros(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.ids)

    def content(self) -> tuple[TokenEmbeddings, Int64[Tensor, " Q"]]:
        """The texts of the queue and their ids."""
        return TokenEmbeddings(self.vectors, self.mask), self.ids

    @torch.no_grad()
    def push(self, texts: TokenEmbeddings, ids: Int[Tensor, " B"]) -> None:
        """Add texts; the oldest texts beyond `size` are dropped."""
        vectors, mask = texts.vectors.detach(), texts.mask
        if len(self):
            width = max(self.mask.shape[1], mask.shape[1])
            vectors = torch.cat([_to_width(self.vectors, width), _to_width(vectors, width)])
            mask = torch.cat([_to_width(self.mask, width), _to_width(mask, width)])
            ids = torch.cat([self.ids, ids])
        # new tensors, not in place, since the graph of the step still refers to the old ones
        mask = mask[-self.size :]
        longest = int(mask.any(0).nonzero().max()) + 1
        self.vectors, self.mask = vectors[-self.size :, :longest].clone(), mask[:, :longest].clone()
        self.ids = ids[-self.size :].clone()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Take the size of the loaded queue, which depends on the number of steps."""
        for name in ("vectors", "mask", "ids"):
            if (saved := state_dict.get(prefix + name)) is not None:
                buffer = getattr(self, name)
                setattr(self, name, torch.empty_like(saved, dtype=buffer.dtype, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def concatenated(one: TokenEmbeddings, other: TokenEmbeddings) -> TokenEmbeddings:
    """The texts of both, padded to the longest."""
    width = max(one.mask.shape[1], other.mask.shape[1])
    return TokenEmbeddings(
        torch.cat([_to_width(one.vectors, width), _to_width(other.vectors, width)]),
        torch.cat([_to_width(one.mask, width), _to_width(other.mask, width)]),
    )


def _to_width(tokens: Tensor, width: int) -> Tensor:
    missing = width - tokens.shape[1]
    return pad(tokens, (0, 0) * (tokens.ndim - 2) + (0, missing))
