"""Documents mined for English texts, and a batch's share of them.

Shape legend: B pairs of a batch, N drawn pairs, E English texts, k documents of each, D distinct documents.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.objectives.interface import Documents
from optical_sweeps.training.padding import pad_embeddings


@dataclass(frozen=True, eq=False)
class MinedDocuments:
    """The best documents of a collection for some English texts.

    Args:
        rows: of those texts among all of the bitext, ascending.
        best: numbers of each one's documents, best first; -1 where fewer were found.
        vectors_of: a document's token vectors, by its number.
        first_id: id of document 0; collections of one training have ids apart.
    """

    rows: Int64[np.ndarray, " E"]
    best: Int64[np.ndarray, "E k"]
    vectors_of: Callable[[int], Float32[np.ndarray, "n d"]]
    first_id: int = 0

    def of(self, rows: Int64[np.ndarray, " B"]) -> Int64[np.ndarray, "B k"]:
        """The documents of the English texts with these rows."""
        return self.best[np.searchsorted(self.rows, rows)]


@dataclass(frozen=True, eq=False)
class MinedPairs:
    """The mined documents of drawn pairs.

    Args:
        sources: collections in the order of their first ids.
        source: of each pair.
        english: row of each pair's English text.
    """

    sources: tuple[MinedDocuments, ...]
    source: Int64[np.ndarray, " N"]
    english: Int64[np.ndarray, " N"]

    def batch(self, items: Sequence[int] | Int[np.ndarray, " B"]) -> Documents:
        """The documents of these pairs, each once."""
        ids = np.stack([self._ids(item) for item in items])
        distinct = np.unique(ids[ids >= 0])
        candidates: Bool[np.ndarray, "B D"] = (ids[:, :, None] == distinct).any(1)
        vectors = [self._vectors(int(number)) for number in distinct]
        offsets = np.cumsum([0, *map(len, vectors)])
        tokens = pad_embeddings(RaggedEmbeddings(np.concatenate(vectors), offsets), np.arange(len(vectors)))
        return Documents(tokens, torch.from_numpy(candidates), torch.from_numpy(distinct))

    def _ids(self, item: int) -> Int64[np.ndarray, " k"]:
        own = self.sources[self.source[item]]
        best = own.of(self.english[item : item + 1])[0]
        return np.where(best >= 0, best + own.first_id, -1)

    def _vectors(self, number: int) -> Float32[np.ndarray, "n d"]:
        own = next(source for source in reversed(self.sources) if source.first_id <= number)
        return own.vectors_of(number - own.first_id)
