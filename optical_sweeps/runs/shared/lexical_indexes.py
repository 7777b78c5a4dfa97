"""Lexical indexes of document sets in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.retrieval.lexical import LexicalIndex
from optical_sweeps.retrieval.psq import ProbabilisticIndex

T = TypeVar("T")


@dataclass(frozen=True)
class LexicalIndexes:
    """The newest lexical index of each kind, kept for further searches of the same documents.

    Args:
        k1, b: parameters of BM25.
    """

    k1: float
    b: float
    _bm25: dict[str, LexicalIndex] = field(default_factory=dict, init=False)
    _structured: dict[str, ProbabilisticIndex] = field(default_factory=dict, init=False)

    def bm25(self, documents: Documents) -> LexicalIndex:
        """For BM25."""
        return self._newest(self._bm25, LexicalIndex, documents)

    def structured(self, documents: Documents) -> ProbabilisticIndex:
        """For structured queries."""
        return self._newest(self._structured, ProbabilisticIndex, documents)

    def _newest(self, kept: dict[str, T], kind: Callable[..., T], documents: Documents) -> T:
        fingerprint = documents.fingerprint()
        if fingerprint not in kept:
            kept.clear()
            kept[fingerprint] = kind(documents.ids, documents.texts, self.k1, self.b)
        return kept[fingerprint]
