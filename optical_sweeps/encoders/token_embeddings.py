"""What every encoder returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor


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
    """Token vectors of many texts end to end, without padding and without the tokens that take no part.

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

    def take(self, rows: Sequence[int] | Int[np.ndarray, " k"]) -> "RaggedEmbeddings":
        """A copy of the texts in `rows`, in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        source = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return RaggedEmbeddings(np.asarray(self.vectors[source]), offsets)
