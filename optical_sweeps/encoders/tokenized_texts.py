"""Token ids of texts: many texts end to end, or one padded batch.

Shape legend: B texts of a batch, n tokens of its longest, N texts with N + 1 offsets, T tokens of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Int, Int32, Int64
from torch import Tensor
from torch.nn.functional import pad

from optical_sweeps.encoders.ragged import take_rows


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of many texts end to end, truncated, with special tokens and without padding.

    Args:
        ids: text i has entries `offsets[i]` to `offsets[i + 1]`.
        mask: tokens that take part in MaxSim and transport; at least one in each text.
        offsets: from 0 to T.
    """

    ids: Int32[np.ndarray, " T"]
    mask: Bool[np.ndarray, " T"]
    offsets: Int64[np.ndarray, " bounds"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        return np.diff(self.offsets)

    def take(self, rows: Sequence[int] | Int[np.ndarray, " k"]) -> "TokenizedTexts":
        """The texts with these numbers, in this order."""
        index, offsets = take_rows(self.offsets, rows)
        return TokenizedTexts(self.ids[index], self.mask[index], offsets)


@dataclass(frozen=True)
class TokenBatch:
    """A padded batch, ready for the encoder.

    Args:
        attention_mask: 1 where a token is attended to.
        mask: tokens that take part in MaxSim and transport.
    """

    input_ids: Int64[Tensor, "B n"]
    attention_mask: Int64[Tensor, "B n"]
    mask: Bool[Tensor, "B n"]

    def to(self, device: torch.device | str) -> "TokenBatch":
        return TokenBatch(
            self.input_ids.to(device, non_blocking=True),
            self.attention_mask.to(device, non_blocking=True),
            self.mask.to(device, non_blocking=True),
        )

    def __len__(self) -> int:
        return len(self.input_ids)


def concatenated_batches(one: TokenBatch, other: TokenBatch) -> TokenBatch:
    """The texts of both batches; the narrower one gets unattended positions, which change no vector."""
    width = max(one.mask.shape[1], other.mask.shape[1])

    def joined(first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([pad(part, (0, width - part.shape[1])) for part in (first, second)])

    return TokenBatch(
        joined(one.input_ids, other.input_ids),
        joined(one.attention_mask, other.attention_mask),
        joined(one.mask, other.mask),
    )


def by_length(texts: TokenizedTexts) -> Int64[np.ndarray, " N"]:
    """Text numbers, longest first, then by content.

    If memory is too small, the first batch fails. Sorting by content makes the order independent of the input.
    """
    keys = [(int(start - end), texts.ids[start:end].tobytes()) for start, end in pairwise(texts.offsets)]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
