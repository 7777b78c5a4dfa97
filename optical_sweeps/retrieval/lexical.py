"""BM25 (Robertson and Zaragoza 2009) as first stage and baseline, through the package bm25s.

A query finds documents of its own language: across languages, hand over its translation, or see `psq`. Words
are those of `corpora.words`, the same rule for every language.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from optical_sweeps.checks import number_between, positive_number
from optical_sweeps.corpora.words import words
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.index import rank_ids, refuse_duplicates
from optical_sweeps.retrieval.keys import keys, unpack
from optical_sweeps.retrieval.runs import RetrievalRun

__all__ = ["LexicalIndex", "best_sharing", "check_bm25", "words"]


class LexicalIndex:
    """A BM25 index in memory.

    Args:
        k1, b: of BM25; the defaults are Anserini's for MIRACL.

    Raises:
        UserError: bm25s is not installed, or a parameter is out of range.
        ValueError: an id stands twice.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        check_bm25(k1, b)
        refuse_duplicates(ids)
        self.ids = ids
        self._ranks = torch.from_numpy(rank_ids(ids))
        self._order = np.argsort(self._ranks.numpy())
        self._bm25 = _bm25s().BM25(k1=k1, b=b, method="lucene")
        self._bm25.index([words(text) or [""] for text in texts], show_progress=False)

    def search(self, query_ids: Sequence[str], texts: Sequence[str], k: int) -> RetrievalRun:
        """For each query the k best documents that share a word with it; ties in the order of ids."""
        found = [self._best(text, k) for text in texts]
        documents = tuple(tuple(self.ids[int(number)] for number in self._order[ranks]) for ranks, _ in found)
        return RetrievalRun(tuple(query_ids), documents, tuple(scores for _, scores in found))

    def _best(self, text: str, k: int) -> tuple[np.ndarray, np.ndarray]:
        known = [word for word in words(text) if word in self._bm25.vocab_dict]
        if not known:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        return best_sharing(np.asarray(self._bm25.get_scores(known), np.float32), self._ranks, k)


def best_sharing(
    scores: Float32[np.ndarray, " N"], ranks: Int64[Tensor, " N"], k: int
) -> tuple[Int64[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
    """The id ranks of the k best documents that score above 0, and their scores; ties in the order of ids."""
    all_scores = torch.from_numpy(scores)
    sharing = torch.nonzero(all_scores > 0)[:, 0]
    best = keys(all_scores[None, sharing], ranks[sharing])[0].topk(min(k, len(sharing))).values
    return unpack(best.numpy())


def check_bm25(k1: float, b: float) -> None:
    """Refuse parameters that are out of range."""
    positive_number("lexical.k1", k1)
    number_between("lexical.b", b, 0.0, 1.0)


def _bm25s() -> Any:
    try:
        return importlib.import_module("bm25s")
    except ImportError as error:
        raise UserError(
            "lexical search: bm25s is not installed; pip install optical-sweeps[lexical]"
        ) from error
