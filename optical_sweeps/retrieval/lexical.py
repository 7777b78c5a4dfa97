"""BM25 (Robertson and Zaragoza 2009) as baseline and for mining, through the package bm25s.

A query matches documents of its own language; across languages, translate it first or use `psq`.
`corpora.words` divides texts of every language into words.
"""

import importlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float32

from optical_sweeps.corpora.words import words
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.ranking_keys import best_documents
from optical_sweeps.retrieval.token_index import rank_ids, refuse_duplicates
from optical_sweeps.retrieval.trec_runs import RetrievalRun


class RankedIds:
    """Document ids and their order.

    Raises:
        ValueError: an id occurs twice.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        refuse_duplicates(ids)
        self.ids = ids
        self._ranks = rank_ids(ids)
        self._order = np.argsort(self._ranks)

    def run(
        self, query_ids: Sequence[str], scores: Iterable[Float32[np.ndarray, " N"]], k: int
    ) -> RetrievalRun:
        """For each query, the k best documents with a score above 0; ties in the order of ids."""
        documents, best_scores = [], []
        for row in scores:
            matching = np.flatnonzero(row > 0)
            ranks, values = best_documents(row[matching], self._ranks[matching], k)
            documents.append(tuple(self.ids[int(number)] for number in self._order[ranks]))
            best_scores.append(values)
        return RetrievalRun(tuple(query_ids), tuple(documents), tuple(best_scores))


class LexicalIndex:
    """A BM25 index in memory.

    Args:
        k1, b: parameters of BM25; the defaults are Anserini's for MIRACL.

    Raises:
        UserError: bm25s is not installed.
        ValueError: an id occurs twice.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        self._documents = RankedIds(ids)
        try:
            bm25s = importlib.import_module("bm25s")
        except ImportError as error:
            raise UserError(
                "lexical search: bm25s is not installed; pip install optical-sweeps[lexical]"
            ) from error
        self._bm25 = bm25s.BM25(k1=k1, b=b, method="lucene")
        self._bm25.index([words(text) or [""] for text in texts], show_progress=False)

    def search(self, query_ids: Sequence[str], texts: Sequence[str], k: int) -> RetrievalRun:
        """For each query, the k best documents that share a word with it; ties in the order of ids."""
        return self._documents.run(query_ids, map(self._scores, texts), k)

    def _scores(self, text: str) -> Float32[np.ndarray, " N"]:
        known = [word for word in words(text) if word in self._bm25.vocab_dict]
        if not known:
            return np.zeros(len(self._documents.ids), np.float32)
        return np.asarray(self._bm25.get_scores(known), np.float32)
