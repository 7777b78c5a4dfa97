"""Triples to train a teacher on: a query, a document relevant to it, and documents that are not.

Shape legend: N triples, k negatives of each, w = 2 + k columns, D documents.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Int32, UInt64

from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import RelevantPair

STRETCH = 1 << 16
"""Triples handled at a time."""


@dataclass(frozen=True, eq=False)
class Triples:
    """Rows of positions in two sequences of texts, which may lie on disk; so may the rows.

    Args:
        rows: query, positive, then the negatives.
        known_concepts: one of each row; none: of one concept are rows that share a query or a positive, or a
            chain of such.
        known_fingerprint: the content's, where it was taken before.
    """

    queries: Sequence[str]
    documents: Sequence[str]
    rows: Int32[np.ndarray, "N w"]
    known_concepts: Int[np.ndarray, " N"] | None = field(default=None, repr=False)
    known_fingerprint: str | None = field(default=None, repr=False)

    @classmethod
    def of_pairs(cls, pairs: Sequence[RelevantPair]) -> "Triples":
        """Rows without negatives; concepts are the pairs' own."""
        queries = {text: row for row, text in enumerate(dict.fromkeys(pair.query for pair in pairs))}
        documents = {text: row for row, text in enumerate(dict.fromkeys(pair.document for pair in pairs))}
        concepts = {text: row for row, text in enumerate(dict.fromkeys(pair.concept for pair in pairs))}
        rows = [(queries[pair.query], documents[pair.document]) for pair in pairs]
        return cls(
            tuple(queries),
            tuple(documents),
            np.array(rows, np.int32).reshape(-1, 2),
            np.array([concepts[pair.concept] for pair in pairs], np.int64),
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def negatives(self) -> int:
        """Of each row."""
        return int(self.rows.shape[1]) - 2

    @cached_property
    def concepts(self) -> Int[np.ndarray, " N"]:
        """Of each row's query and positive: rows of one concept must not be each other's negatives."""
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
        """The concept of each document that is some row's positive; of others a number of its own, below 0."""
        found = -1 - np.arange(len(self.documents), dtype=np.int64)
        found[self.rows[:, 1]] = self.concepts
        return found

    def texts(self) -> Iterator[list[str]]:
        """Every text of a row, a list at a time; one that stands in several may come again."""
        for start in range(0, len(self), STRETCH):
            rows = self.rows[start : start + STRETCH]
            yield [self.queries[int(row)] for row in np.unique(rows[:, 0])]
            yield [self.documents[int(row)] for row in np.unique(rows[:, 1:])]

    def fingerprint(self) -> str:
        """A hash of every row's texts and concept, in order."""
        return self.known_fingerprint or fingerprint_of_texts(self._content())

    def _content(self) -> Iterator[str]:
        for row, concept in zip(self.rows.tolist(), self.concepts.tolist(), strict=True):
            yield from (self.queries[row[0]], str(concept), *(self.documents[column] for column in row[1:]))


@runtime_checkable
class TripleSource(Protocol):
    """Where triples come from; construction checks the settings, texts are read at first use."""

    def triples(self) -> Triples:
        """The drawn triples, in the order of training."""
        ...

    def fingerprint(self) -> str:
        """A hash of what `triples` gives."""
        ...


def drawn(size: int, count: int | None, seed: int) -> Int[np.ndarray, " N"]:
    """`count` of `size` positions in a seeded order, all where count is None; fewer are the first of more.

    The order is that of a hash of seed and position (splitmix64), so that memory is that of the result.

    >>> drawn(1000, 2, 0).tolist() == drawn(1000, 5, 0)[:2].tolist()
    True
    """
    kept = min(size, size if count is None else count)
    best_keys, best = np.empty(0, np.uint64), np.empty(0, np.int64)
    for start in range(0, size, max(STRETCH, kept)):
        positions = np.arange(start, min(size, start + max(STRETCH, kept)), dtype=np.int64)
        best_keys = np.concatenate([best_keys, _hashed(positions.astype(np.uint64), seed)])
        best = np.concatenate([best, positions])
        if len(best) > kept:
            least = np.argpartition(best_keys, kept - 1)[:kept]
            best_keys, best = best_keys[least], best[least]
    return best[np.lexsort((best, best_keys))]


def _hashed(positions: UInt64[np.ndarray, " n"], seed: int) -> UInt64[np.ndarray, " n"]:
    """Steele, Lea and Flood 2014, "Fast Splittable Pseudorandom Number Generators", figure 16; a bijection."""
    with np.errstate(over="ignore"):
        value = (positions + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
