"""Documents mined for English texts, and those of a batch.

Shape legend: B pairs of a batch, N drawn pairs, E English texts, k documents of each, D distinct documents.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.objectives import Documents
from optical_sweeps.training.padding import pad_embeddings


@dataclass(frozen=True, eq=False)
class MinedDocuments:
    """The best documents of a collection for some English texts.

    Args:
        rows: rows of those texts among all English texts, ascending.
        best: document numbers of each text, best first; -1 where fewer were found.
        vectors_of: a document's token vectors by its number.
        first_id: id of document 0; the collections of one training have disjoint ids.
    """

    rows: Int64[np.ndarray, " E"]
    best: Int64[np.ndarray, "E k"]
    vectors_of: Callable[[int], Float32[np.ndarray, "n d"]]
    first_id: int = 0

    def documents(self, rows: Int64[np.ndarray, " B"]) -> Int64[np.ndarray, "B k"]:
        """The document numbers of the English texts with these rows."""
        return self.best[np.searchsorted(self.rows, rows)]


@dataclass(frozen=True, eq=False)
class MinedPairs:
    """The mined documents of drawn pairs.

    Args:
        sources: collections, ascending by `first_id`.
        source: the collection of each pair.
        english: the row of each pair's English text.
    """

    sources: tuple[MinedDocuments, ...]
    source: Int64[np.ndarray, " N"]
    english: Int64[np.ndarray, " N"]

    def batch(self, items: Sequence[int]) -> Documents:
        """The distinct documents of these pairs."""
        ids = np.stack([self._ids(item) for item in items])
        distinct = np.unique(ids[ids >= 0])
        candidates: Bool[np.ndarray, "B D"] = (ids[:, :, None] == distinct).any(1)
        vectors = [self._vectors(int(number)) for number in distinct]
        offsets = np.cumsum([0, *map(len, vectors)])
        tokens = pad_embeddings(RaggedEmbeddings(np.concatenate(vectors), offsets), np.arange(len(vectors)))
        return Documents(tokens, torch.from_numpy(candidates), torch.from_numpy(distinct))

    def _ids(self, item: int) -> Int64[np.ndarray, " k"]:
        collection = self.sources[self.source[item]]
        best = collection.documents(self.english[item : item + 1])[0]
        return np.where(best >= 0, best + collection.first_id, -1)

    def _vectors(self, number: int) -> Float32[np.ndarray, "n d"]:
        collection = next(source for source in reversed(self.sources) if source.first_id <= number)
        return collection.vectors_of(number - collection.first_id)
