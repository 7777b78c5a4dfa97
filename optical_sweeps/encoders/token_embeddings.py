"""Token vectors, padded or end to end: what every encoder returns.

Shape legend: B texts of a batch, n tokens of its longest, N texts with N + 1 offsets, T tokens of all of them,
d dimensions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from optical_sweeps.encoders.ragged import take_rows

Progress = Callable[[int, int], None]
"""(items done, items in all)."""


@dataclass(frozen=True)
class TokenEmbeddings:
    """Contextual token vectors of a batch of texts.

    Args:
        vectors: L2-normalised where `mask` is true; zero elsewhere.
        mask: tokens that take part in MaxSim and transport.
    """

    vectors: Float[Tensor, "B n d"]
    mask: Bool[Tensor, "B n"]

    def to(self, device: torch.device | str) -> "TokenEmbeddings":
        """The same embeddings on a device."""
        return TokenEmbeddings(self.vectors.to(device), self.mask.to(device))


@dataclass(frozen=True)
class RaggedEmbeddings:
    """Token vectors of many texts end to end, without padding; only of the tokens that take part.

    Args:
        vectors: L2-normalised, float32; text i has rows `offsets[i]` to `offsets[i + 1]`, at least one.
        offsets: from 0 to T.
    """

    vectors: Float[np.ndarray, "T d"]
    offsets: Int64[np.ndarray, " bounds"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, text: int) -> Float[np.ndarray, "n d"]:
        """The vectors of one text."""
        return self.vectors[self.offsets[text] : self.offsets[text + 1]]

    def take(self, texts: Sequence[int] | Int[np.ndarray, " k"]) -> "RaggedEmbeddings":
        """A copy of these texts, in this order."""
        rows, offsets = take_rows(self.offsets, texts)
        return RaggedEmbeddings(np.asarray(self.vectors[rows]), offsets)


def normalize(vectors: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
    """Vectors scaled to length 1, in float32; a zero vector stays zero and has a finite gradient.

    >>> normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    vectors = vectors.float()
    squared = vectors.square().sum(-1, keepdim=True)
    return vectors * torch.where(squared > 1e-24, squared, 1.0).rsqrt()
