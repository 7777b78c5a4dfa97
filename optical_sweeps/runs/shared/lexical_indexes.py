"""Lexical indexes of document sets in memory."""

from dataclasses import dataclass, field

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.retrieval.lexical import LexicalIndex
from optical_sweeps.retrieval.psq import ProbabilisticIndex


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
        fingerprint = documents.fingerprint()
        if fingerprint not in self._bm25:
            self._bm25.clear()
            self._bm25[fingerprint] = LexicalIndex(documents.ids, documents.texts, self.k1, self.b)
        return self._bm25[fingerprint]

    def structured(self, documents: Documents) -> ProbabilisticIndex:
        """For structured queries."""
        fingerprint = documents.fingerprint()
        if fingerprint not in self._structured:
            self._structured.clear()
            self._structured[fingerprint] = ProbabilisticIndex(documents.ids, documents.texts, self.k1, self.b)
        return self._structured[fingerprint]
