"""Word translations with probabilities, counted from word alignments of bitext.

Shape legend: S source words, T target words.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse

from optical_sweeps.checks import number_between, whole_number


@dataclass(frozen=True, eq=False)
class WordCounts:
    """How often words of two languages were aligned; counts may be fractions.

    Args:
        source: the words of the rows, sorted.
        target: the words of the columns, sorted.
        matrix: S x T, no negative count.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    matrix: sparse.csr_array

    @classmethod
    def of(cls, aligned: Iterable[tuple[str, str, float]]) -> "WordCounts":
        """Counts given pair by pair."""
        own, other, counts = zip(*aligned, strict=True)
        source, target = tuple(sorted(set(own))), tuple(sorted(set(other)))
        places = [{word: place for place, word in enumerate(side)} for side in (source, target)]
        at = ([places[0][word] for word in own], [places[1][word] for word in other])
        matrix = sparse.coo_array((np.array(counts, float), at), (len(source), len(target)))
        return cls(source, target, matrix.tocsr())

    def reversed(self) -> "WordCounts":
        """The same, from target to source."""
        return WordCounts(self.target, self.source, self.matrix.T.tocsr())

    def table(self) -> "TranslationTable":
        """p(target word | source word): every row of counts over its sum; words never aligned are left out."""
        matrix = sparse.csr_array(self.matrix)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        kept = np.flatnonzero(np.diff(matrix.indptr))
        matrix = matrix[kept]
        matrix.data = matrix.data / np.repeat(matrix.sum(1), np.diff(matrix.indptr))
        return TranslationTable(tuple(self.source[row] for row in kept), self.target, matrix)

    def save(self, folder: Path) -> None:
        """Write into an existing folder; nothing in it needs to be trusted when it is read."""
        words = {"source": self.source, "target": self.target}
        (folder / "words.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
        for name in ("data", "indices", "indptr"):
            np.save(folder / f"{name}.npy", getattr(self.matrix, name))

    @classmethod
    def load(cls, folder: Path) -> "WordCounts":
        words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        source, target = tuple(words["source"]), tuple(words["target"])
        arrays = tuple(np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr"))
        return cls(source, target, sparse.csr_array(arrays, shape=(len(source), len(target))))


@dataclass(frozen=True, eq=False)
class TranslationTable:
    """p(target | source) of words.

    Args:
        source, target: the words of rows and columns, each once.
        matrix: S x T, every row sums to 1.

    >>> counts = WordCounts.of([("maja", "house", 3.0), ("maja", "home", 1.0), ("auto", "car", 2.0)])
    >>> counts.table().of("maja")
    {'house': 0.75, 'home': 0.25}
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    matrix: sparse.csr_array

    def of(self, word: str) -> dict[str, float]:
        """The translations of a word, the most probable first; none where it is unknown."""
        row = self.places.get(word)
        if row is None:
            return {}
        start, end = self.matrix.indptr[row : row + 2]
        found = zip(self.matrix.indices[start:end].tolist(), self.matrix.data[start:end].tolist(), strict=True)
        return {
            self.target[column]: share for column, share in sorted(found, key=lambda one: (-one[1], one[0]))
        }

    def lexicon(self) -> dict[str, dict[str, float]]:
        """Every word's translations."""
        return {word: self.of(word) for word in self.source}

    def pruned(self, cumulative: float = 1.0, size: int | None = None) -> "TranslationTable":
        """Of each word the most probable translations alone, as few as reach `cumulative` and at most `size`.

        What is left is scaled to sum to 1. Darwish and Oard 2003, section 4, call it the cumulative
        probability threshold.

        Raises:
            UserError: `cumulative` is not in [0, 1], or `size` below 1. At 0, one translation is left.
        """
        check_cut_off(cumulative, size)
        matrix, lengths = self.matrix, np.diff(self.matrix.indptr)
        rows = np.repeat(np.arange(len(self.source)), lengths)
        order = np.lexsort((matrix.indices, -matrix.data, rows))  # stays within rows
        data, indices = matrix.data[order], matrix.indices[order]
        rank = np.arange(len(data)) - np.repeat(matrix.indptr[:-1], lengths)
        sums = np.cumsum(data)
        before = sums - data - np.repeat((sums - data)[matrix.indptr[:-1]], lengths)
        kept = (before < cumulative - 1e-9) | (rank == 0)
        if size is not None:
            kept &= rank < size
        counts = np.bincount(rows[kept], minlength=len(self.source))
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        totals = np.bincount(rows[kept], data[kept], minlength=len(self.source))
        shares = data[kept] / totals[rows[kept]]
        cut = sparse.csr_array((shares, indices[kept], bounds), shape=matrix.shape)
        cut.sort_indices()
        return TranslationTable(self.source, self.target, cut)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The row of each source word."""
        return {word: row for row, word in enumerate(self.source)}


def check_cut_off(cumulative: float, size: int | None) -> None:
    """Refuse a cut-off that is out of range."""
    number_between("psq.cumulative", cumulative, 0.0, 1.0)
    if size is not None:
        whole_number("psq.size", size, least=1)


def identity_table(words: Sequence[str]) -> TranslationTable:
    """Every word translates to itself."""
    own = tuple(sorted(set(words)))
    return TranslationTable(own, own, sparse.eye_array(len(own), format="csr"))
