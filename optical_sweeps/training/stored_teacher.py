"""The teacher of a distillation, as a training step sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.sharded_embeddings import ShardedEmbeddings
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings
from optical_sweeps.encoders.tokenized_texts import TokenBatch
from optical_sweeps.training.padding import pad_embeddings


@runtime_checkable
class Teacher(Protocol):
    """Gives the teacher's token vectors of a batch's English texts, without gradient.

    The work is split between data loader and training step: `collate` runs in the loader's workers, the call
    in the step, on the step's device.
    """

    def collate(self, rows: Int[np.ndarray, " B"], side: Side) -> TokenEmbeddings | TokenBatch:
        """What the step needs of the English texts with these rows, encoded as one side of retrieval."""
        ...

    def __call__(self, texts: TokenEmbeddings | TokenBatch, side: Side) -> TokenEmbeddings:
        """The token vectors of a collated batch."""
        ...


@dataclass(frozen=True, eq=False)
class StoredTeacher:
    """A teacher whose token vectors of the drawn English texts were computed before the training.

    Args:
        vectors: the vectors of the distinct English texts, for each side that the student learns.
    """

    vectors: Mapping[Side, RaggedEmbeddings | ShardedEmbeddings]

    def collate(self, rows: Int[np.ndarray, " B"], side: Side) -> TokenEmbeddings:
        return pad_embeddings(self.vectors[side].take(rows), np.arange(len(rows)))

    def __call__(self, texts: TokenEmbeddings | TokenBatch, side: Side) -> TokenEmbeddings:
        assert isinstance(texts, TokenEmbeddings)
        return texts
