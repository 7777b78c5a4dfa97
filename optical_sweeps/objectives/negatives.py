"""Teacher texts of earlier steps, kept as negatives."""

from typing import Any

import torch
from jaxtyping import Int, Int64
from torch import Tensor, nn
from torch.nn.functional import pad

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings


class NegativeQueue(nn.Module):
    """The newest `size` texts with their ids, as buffers.

    A queue of negatives as in He et al. 2020 (MoCo, arXiv 1911.05722), without its momentum encoder: the
    teacher is frozen, so that vectors of earlier steps are as good as new.
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
        """What is kept, and the texts' ids."""
        return TokenEmbeddings(self.vectors, self.mask), self.ids

    @torch.no_grad()
    def push(self, texts: TokenEmbeddings, ids: Int[Tensor, " B"]) -> None:
        """Keep these texts; the oldest beyond `size` are forgotten."""
        vectors, mask = texts.vectors.detach(), texts.mask
        if len(self):
            width = max(self.mask.shape[1], mask.shape[1])
            vectors = torch.cat([_to_width(self.vectors, width), _to_width(vectors, width)])
            mask = torch.cat([_to_width(self.mask, width), _to_width(mask, width)])
            ids = torch.cat([self.ids, ids])
        # new tensors, never in place: the step's graph still holds the old ones
        mask = mask[-self.size :]
        longest = int(mask.any(0).nonzero().max()) + 1
        self.vectors, self.mask = vectors[-self.size :, :longest].clone(), mask[:, :longest].clone()
        self.ids = ids[-self.size :].clone()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """A queue takes the sizes of what is loaded: it grows as it fills."""
        for name in ("vectors", "mask", "ids"):
            if (saved := state_dict.get(prefix + name)) is not None:
                own = getattr(self, name)
                setattr(self, name, torch.empty_like(saved, dtype=own.dtype, device=own.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def joined(one: TokenEmbeddings, other: TokenEmbeddings) -> TokenEmbeddings:
    """The texts of both, padded to the longest."""
    width = max(one.mask.shape[1], other.mask.shape[1])
    return TokenEmbeddings(
        torch.cat([_to_width(one.vectors, width), _to_width(other.vectors, width)]),
        torch.cat([_to_width(one.mask, width), _to_width(other.mask, width)]),
    )


def _to_width(tokens: Tensor, width: int) -> Tensor:
    missing = width - tokens.shape[1]
    return pad(tokens, (0, 0) * (tokens.ndim - 2) + (0, missing))
