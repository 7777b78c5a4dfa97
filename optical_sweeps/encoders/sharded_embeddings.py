"""Token vectors of texts that lie in several shards.

Shape legend: N texts, k of them, n tokens of a text, d dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, Int64

from optical_sweeps.encoders.ragged import offsets_of
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings


@dataclass(frozen=True, eq=False)
class ShardedEmbeddings:
    """Token vectors of N texts; text i is text `rows[i]` of `shards[source[i]]`.

    The shards may be memory-mapped and of lower precision.
    """

    shards: tuple[RaggedEmbeddings, ...]
    source: Int64[np.ndarray, " N"]
    rows: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, text: int) -> Float32[np.ndarray, "n d"]:
        """The vectors of one text."""
        vectors: np.ndarray = self.shards[self.source[text]][int(self.rows[text])]
        return vectors.astype(np.float32, copy=False)

    def take(self, texts: Sequence[int] | Int[np.ndarray, " k"]) -> RaggedEmbeddings:
        """The vectors of the texts with these numbers, in memory."""
        parts = [self[int(text)] for text in texts]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        return RaggedEmbeddings(np.concatenate(parts), offsets_of(lengths))
