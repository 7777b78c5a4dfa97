"""Triples to train a teacher on: a query, a relevant document, and negatives.

Shape legend: N triples, k negatives each, w = 2 + k columns, D documents.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Int32, UInt64

from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import RelevantPair

BLOCK = 1 << 16
"""Triples that are handled at a time."""


@dataclass(frozen=True, eq=False)
class Triples:
    """Rows of positions in two sequences of texts; texts and rows may be on disk.

    Args:
        rows: query, positive, then the negatives.
        known_concepts: the concept of each row. None: rows that share a query or a positive, directly or
            through others, have the same concept.
        known_fingerprint: the fingerprint of the content, if it was computed before.
    """

    queries: Sequence[str]
    documents: Sequence[str]
    rows: Int32[np.ndarray, "N w"]
    known_concepts: Int[np.ndarray, " N"] | None = field(default=None, repr=False)
    known_fingerprint: str | None = field(default=None, repr=False)

    @classmethod
    def of_pairs(cls, pairs: Sequence[RelevantPair]) -> "Triples":
        """Rows without negatives, with the concepts of the pairs."""
        queries, query_rows = _numbered(pair.query for pair in pairs)
        documents, document_rows = _numbered(pair.document for pair in pairs)
        _, concepts = _numbered(pair.concept for pair in pairs)
        return cls(queries, documents, np.stack([query_rows, document_rows], 1).astype(np.int32), concepts)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def negatives(self) -> int:
        """Negatives of each row."""
        return int(self.rows.shape[1]) - 2

    @cached_property
    def concepts(self) -> Int[np.ndarray, " N"]:
        """The concept of each row: rows of one concept must not be each other's negatives."""
        if self.known_concepts is not None:
            return self.known_concepts
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        queries, positives = np.asarray(self.rows[:, 0], np.int64), np.asarray(self.rows[:, 1], np.int64)
        size = len(self.queries) + len(self.documents)
        ones = np.ones(len(self), np.int8)
        links = coo_matrix((ones, (queries, positives + len(self.queries))), shape=(size, size))
        _, component = connected_components(links, directed=False)
        return np.asarray(component[queries], np.int64)

    @cached_property
    def document_concepts(self) -> Int[np.ndarray, " D"]:
        """The concept of each document that is a positive; each other document has a unique number below 0."""
        concepts = -1 - np.arange(len(self.documents), dtype=np.int64)
        concepts[self.rows[:, 1]] = self.concepts
        return concepts

    def texts(self) -> Iterator[list[str]]:
        """Every text of a row, in blocks; a text of several blocks is repeated."""
        for start in range(0, len(self), BLOCK):
            rows = self.rows[start : start + BLOCK]
            yield [self.queries[int(row)] for row in np.unique(rows[:, 0])]
            yield [self.documents[int(row)] for row in np.unique(rows[:, 1:])]

    def fingerprint(self) -> str:
        """A hash of the texts and the concept of every row, in order."""
        return self.known_fingerprint or fingerprint_of_texts(self._content())

    def _content(self) -> Iterator[str]:
        for row, concept in zip(self.rows.tolist(), self.concepts.tolist(), strict=True):
            yield from (self.queries[row[0]], str(concept), *(self.documents[column] for column in row[1:]))


@runtime_checkable
class TripleSource(Protocol):
    """A source of triples; construction checks the settings, and texts are read at first use."""

    def triples(self) -> Triples:
        """The drawn triples, in training order."""
        ...

    def fingerprint(self) -> str:
        """A hash of the triples."""
        ...


def drawn(size: int, count: int | None, seed: int) -> Int[np.ndarray, " N"]:
    """`count` of `size` positions in a seeded order (None: all); a smaller draw is a prefix of a larger one.

    Positions are ordered by a hash of seed and position (splitmix64), so memory grows with the result only.

    >>> drawn(1000, 2, 0).tolist() == drawn(1000, 5, 0)[:2].tolist()
    True
    """
    kept = min(size, size if count is None else count)
    best_keys, best = np.empty(0, np.uint64), np.empty(0, np.int64)
    for start in range(0, size, max(BLOCK, kept)):
        positions = np.arange(start, min(size, start + max(BLOCK, kept)), dtype=np.int64)
        best_keys = np.concatenate([best_keys, _hashed(positions.astype(np.uint64), seed)])
        best = np.concatenate([best, positions])
        if len(best) > kept:
            least = np.argpartition(best_keys, kept - 1)[:kept]
            best_keys, best = best_keys[least], best[least]
    return best[np.lexsort((best, best_keys))]


def _numbered(texts: Iterator[str]) -> tuple[tuple[str, ...], Int[np.ndarray, " N"]]:
    """The distinct texts in order of first occurrence, and the number of each text among them."""
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(text, len(numbers)) for text in texts]
    return tuple(numbers), np.array(rows, np.int64)


def _hashed(positions: UInt64[np.ndarray, " n"], seed: int) -> UInt64[np.ndarray, " n"]:
    """Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators", figure 16; a bijection."""
    with np.errstate(over="ignore"):
        value = (positions + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
