"""Counts of aligned words in bitext, and the translation probabilities that they give.

Shape legend: S source words, T target words.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import sparse

from optical_sweeps.array_files import load_array
from optical_sweeps.limits import read_json

ARRAYS = ("data", "indices", "indptr")


@dataclass(frozen=True, eq=False)
class WordCounts:
    """How often words of two languages were aligned; counts may be fractional.

    Args:
        source: the words of the rows, sorted.
        target: the words of the columns, sorted.
        matrix: S x T, no negative count.

    >>> matrix = sparse.csr_array([[2, 0, 0], [0, 1, 3]])
    >>> counts = WordCounts(("auto", "maja"), ("car", "home", "house"), matrix)
    >>> counts.translations("maja")
    {'house': 0.75, 'home': 0.25}
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    matrix: sparse.csr_array

    def translations(self, word: str, cumulative: float = 1.0, size: int | None = None) -> dict[str, float]:
        """p(target | source) of a word, the most probable translation first; empty for an unknown word.

        Darwish and Oard 2003, section 4, call `cumulative` the cumulative probability threshold. The remaining
        probabilities are scaled to sum to 1.

        Args:
            cumulative: keep the fewest translations that reach this probability, in [0, 1]; at least one.
            size: maximum number of translations; None for no limit.
        """
        row = self._rows.get(word)
        if row is None:
            return {}
        start, end = self.matrix.indptr[row : row + 2]
        columns, counts = self.matrix.indices[start:end], self.matrix.data[start:end]
        order = np.lexsort((columns, -counts))[:size]
        order = order[counts[order] > 0]
        if not len(order):
            return {}
        probabilities = counts[order] / counts.sum()
        kept = 1 + np.count_nonzero(np.cumsum(probabilities)[:-1] < cumulative - 1e-9)
        shares = probabilities[:kept] / probabilities[:kept].sum()
        words = [self.target[column] for column in columns[order[:kept]]]
        return dict(zip(words, shares.tolist(), strict=True))

    def lexicon(self, cumulative: float = 1.0, size: int | None = None) -> dict[str, dict[str, float]]:
        """The translations of every word that was aligned; see `translations`."""
        entries = {word: self.translations(word, cumulative, size) for word in self.source}
        return {word: translations for word, translations in entries.items() if translations}

    def reversed(self) -> "WordCounts":
        """The same counts, from target to source."""
        return WordCounts(self.target, self.source, self.matrix.T.tocsr())

    def save(self, folder: Path) -> None:
        """Write into an existing folder, without pickles."""
        words = {"source": self.source, "target": self.target}
        (folder / "words.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self.matrix, name))

    @classmethod
    def load(cls, folder: Path) -> "WordCounts":
        """The counts that `save` wrote.

        Raises:
            OSError, ValueError, KeyError, TypeError: a file is missing or damaged.
        """
        words = read_json(folder / "words.json")
        source, target = tuple(words["source"]), tuple(words["target"])
        arrays = tuple(load_array(folder / f"{name}.npy") for name in ARRAYS)
        matrix = sparse.csr_array(arrays, shape=(len(source), len(target)))
        matrix.check_format()  # compiled code of scipy uses the columns as places in memory
        return cls(source, target, matrix)

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        """The row of each source word."""
        return {word: row for row, word in enumerate(self.source)}
