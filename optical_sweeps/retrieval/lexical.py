"""BM25 (Robertson and Zaragoza 2009) as first stage and baseline, through the package bm25s.

Words are runs of letters and digits, lower-cased; scripts written without blanks are cut into pairs of
characters. No stop words and no stemmer: the same rule for every language. A query finds documents of its own
language: across languages, hand over its translation.
"""

import importlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from optical_sweeps.checks import number_between, positive_number
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.index import rank_ids, refuse_duplicates
from optical_sweeps.retrieval.keys import keys, unpack
from optical_sweeps.retrieval.runs import RetrievalRun

# Han, kana, Thai, Lao, Khmer and Burmese
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """What BM25 counts.

    >>> words("BM25, na\u00efve: \u6771\u4eac\u90fd")
    ['bm25', 'na\u00efve', '\u6771\u4eac', '\u4eac\u90fd']
    """
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        unspaced = re.match(f"[{_UNSPACED}]", word) and len(word) > 1
        found += [word[at : at + 2] for at in range(len(word) - 1)] if unspaced else [word]
    return found


class LexicalIndex:
    """A BM25 index in memory.

    Args:
        k1, b: of BM25; the defaults are Anserini's for MIRACL.

    Raises:
        UserError: bm25s is not installed, or a parameter is out of range.
        ValueError: an id stands twice.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        positive_number("lexical.k1", k1)
        number_between("lexical.b", b, 0.0, 1.0)
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
        scores = torch.from_numpy(np.asarray(self._bm25.get_scores(known), np.float32))
        sharing = torch.nonzero(scores > 0)[:, 0]
        best = keys(scores[None, sharing], self._ranks[sharing])[0].topk(min(k, len(sharing))).values
        return unpack(best.numpy())


def _bm25s() -> Any:
    try:
        return importlib.import_module("bm25s")
    except ImportError as error:
        raise UserError(
            "lexical search: bm25s is not installed; pip install optical-sweeps[lexical]"
        ) from error
