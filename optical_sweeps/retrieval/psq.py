"""Probabilistic structured queries: BM25 over expected counts of a word's translations.

Darwish and Oard 2003, "Probabilistic structured query methods" (SIGIR): for a query word f and document d

    tf(f, d) = sum over e of p(e | f) tf(e, d)        df(f) = sum over e of p(e | f) df(e)

and these stand in the term weight where those of a word of the documents' own language would.

Shape legend: Q queries, W distinct words of theirs, V words of the documents, N documents.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from scipy import sparse

from optical_sweeps.checks import one_of
from optical_sweeps.corpora.words import words
from optical_sweeps.retrieval.index import rank_ids, refuse_duplicates
from optical_sweeps.retrieval.lexical import best_sharing, check_bm25
from optical_sweeps.retrieval.runs import RetrievalRun
from optical_sweeps.retrieval.translation_table import TranslationTable, check_cut_off

_BLOCK = 64  # queries whose words' expected counts are in memory at once


@dataclass(frozen=True)
class StructuredQueries:
    """Which translations of a query's words count.

    Args:
        cumulative: of each word as few translations as reach this probability, the most probable first.
        size: and at most so many; None for all.
        unknown: a word without translation is kept as it stands (names, numbers) or dropped.

    Raises:
        UserError: a setting is out of range.
    """

    cumulative: float = 0.95
    size: int | None = 20
    unknown: str = "keep"
    __no_type_check__ = True

    def __post_init__(self) -> None:
        check_cut_off(self.cumulative, self.size)
        one_of("psq.unknown", self.unknown, ("keep", "drop"))


class ProbabilisticIndex:
    """Counts of the documents' words in memory, searched with structured queries.

    Args:
        k1, b: of BM25, as in `LexicalIndex`, which it equals where every word translates to itself.

    Raises:
        UserError: a parameter is out of range.
        ValueError: an id stands twice.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        check_bm25(k1, b)
        refuse_duplicates(ids)
        self.ids = ids
        self._ranks = torch.from_numpy(rank_ids(ids))
        self._order = np.argsort(self._ranks.numpy())
        self._vocabulary: dict[str, int] = {}
        self._counts = self._counted(texts)  # V x N
        self._holding = np.diff(self._counts.indptr).astype(float)
        lengths = np.maximum(self._counts.sum(0), 1.0)
        self._saturation = k1 * (1 - b + b * lengths / lengths.mean())

    def search(
        self,
        query_ids: Sequence[str],
        texts: Sequence[str],
        table: TranslationTable,
        k: int,
        settings: StructuredQueries | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> RetrievalRun:
        """For each query the k best documents that hold a translation of one of its words.

        Args:
            table: from the queries' words to the documents'.
        """
        settings = settings or StructuredQueries()
        table = table.pruned(settings.cumulative, settings.size)
        queries = [Counter(words(text)) for text in texts]
        documents, scores = [], []
        for start in range(0, len(queries), _BLOCK):
            for row in self._scores(queries[start : start + _BLOCK], table, settings.unknown == "keep"):
                ranks, values = best_sharing(row, self._ranks, k)
                documents.append(tuple(self.ids[int(number)] for number in self._order[ranks]))
                scores.append(values)
            progress(min(start + _BLOCK, len(queries)), len(queries))
        return RetrievalRun(tuple(query_ids), tuple(documents), tuple(scores))

    def _scores(self, queries: Sequence[Counter[str]], table: TranslationTable, keep: bool) -> np.ndarray:
        """Q x N."""
        distinct = {word: row for row, word in enumerate(dict.fromkeys(chain.from_iterable(queries)))}
        shares = self._shares(list(distinct), table, keep)  # W x V
        expected = sparse.csr_array(shares @ self._counts)  # W x N: tf
        holding = shares @ self._holding  # df
        weight = np.log1p((len(self.ids) - holding + 0.5) / (holding + 0.5))
        counts = expected.data
        rows = np.repeat(np.arange(len(distinct)), np.diff(expected.indptr))
        expected.data = weight[rows] * counts / (counts + self._saturation[expected.indices])
        entries = [(place, distinct[word], n) for place, bag in enumerate(queries) for word, n in bag.items()]
        if not entries:
            return np.zeros((len(queries), len(self.ids)), np.float32)
        at, columns, values = (np.array(column) for column in zip(*entries, strict=True))
        bags = sparse.csr_array((values.astype(float), (at, columns)), shape=(len(queries), len(distinct)))
        return np.asarray((bags @ expected).todense(), dtype=np.float32)

    def _shares(self, distinct: Sequence[str], table: TranslationTable, keep: bool) -> sparse.csr_array:
        rows, columns, values = [], [], []
        for row, word in enumerate(distinct):
            found = table.of(word) or ({word: 1.0} if keep else {})
            for translation, share in found.items():
                if translation in self._vocabulary:
                    rows.append(row)
                    columns.append(self._vocabulary[translation])
                    values.append(share)
        shape = (len(distinct), len(self._vocabulary))
        return sparse.csr_array((np.array(values, float), (rows, columns)), shape=shape)

    def _counted(self, texts: Sequence[str]) -> sparse.csr_array:
        rows, columns, values = [], [], []
        for number, text in enumerate(texts):
            for word, count in Counter(words(text)).items():
                rows.append(self._vocabulary.setdefault(word, len(self._vocabulary)))
                columns.append(number)
                values.append(count)
        shape = (len(self._vocabulary), len(texts))
        return sparse.csr_array((np.array(values, float), (rows, columns)), shape=shape)
