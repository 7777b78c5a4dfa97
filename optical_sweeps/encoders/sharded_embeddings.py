"""Token vectors of texts that lie in several shards.

Shape legend: N texts, k of them, n tokens of a text, T tokens of all texts, d dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, Int64, Shaped

from optical_sweeps.encoders.ragged import offsets_of
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings


@dataclass(frozen=True, eq=False)
class StoredEmbeddings:
    """Token vectors of texts as they are stored, usually memory-mapped.

    Args:
        vectors: in float32, float16, or as whole numbers in int8.
        offsets: from 0 to T; text i has rows `offsets[i]` to `offsets[i + 1]`.
        scales: of int8 vectors, what each is multiplied by.
    """

    vectors: Shaped[np.ndarray, "T d"]
    offsets: Int64[np.ndarray, " bounds"]
    scales: Float32[np.ndarray, " T"] | None = None

    def __getitem__(self, text: int) -> Float32[np.ndarray, "n d"]:
        """The vectors of one text."""
        rows = slice(self.offsets[text], self.offsets[text + 1])
        vectors: np.ndarray = self.vectors[rows].astype(np.float32, copy=False)
        return vectors if self.scales is None else vectors * self.scales[rows, None]


@dataclass(frozen=True, eq=False)
class ShardedEmbeddings:
    """Token vectors of N texts; text i is text `rows[i]` of `shards[source[i]]`."""

    shards: tuple[StoredEmbeddings, ...]
    source: Int64[np.ndarray, " N"]
    rows: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, text: int) -> Float32[np.ndarray, "n d"]:
        """The vectors of one text."""
        vectors: np.ndarray = self.shards[self.source[text]][int(self.rows[text])]
        return vectors

    def take(self, texts: Sequence[int] | Int[np.ndarray, " k"]) -> RaggedEmbeddings:
        """The vectors of the texts with these numbers, in memory."""
        parts = [self[int(text)] for text in texts]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        return RaggedEmbeddings(np.concatenate(parts), offsets_of(lengths))
