"""Probabilistic structured queries: BM25 over the expected counts of a word's translations.

Darwish and Oard 2003, "Probabilistic structured query methods" (SIGIR): for a query word f and a document d,

    tf(f, d) = sum over e of p(e | f) tf(e, d)        df(f) = sum over e of p(e | f) df(e)

which BM25 uses like the counts of a word of the documents' language.

Shape legend: Q queries, W distinct words of theirs, V distinct words of the documents, N documents.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal

import numpy as np
from jaxtyping import Float32
from scipy import sparse

from optical_sweeps.checks import Count, Fraction
from optical_sweeps.corpora.words import words
from optical_sweeps.encoders.token_embeddings import Progress
from optical_sweeps.retrieval.lexical import RankedIds
from optical_sweeps.retrieval.trec_runs import RetrievalRun
from optical_sweeps.retrieval.word_counts import WordCounts
from optical_sweeps.settings import settings

QUERY_BLOCK = 64
"""Queries whose words' expected counts are in memory at a time."""


@settings("psq.queries")
class StructuredQueries:
    """Which translations of a query's words count.

    Args:
        cumulative: of each word, the fewest most probable translations that reach this probability.
        size: maximum number of translations; None for all.
        unknown: whether to `keep` or `drop` a word without translation, such as a name or a number.
    """

    cumulative: Fraction = 0.95
    size: Count | None = 20
    unknown: Literal["keep", "drop"] = "keep"


class ProbabilisticIndex:
    """Counts of the documents' words in memory, searched with structured queries.

    Args:
        k1, b: parameters of BM25. If every word translates to itself, the scores are those of `LexicalIndex`.

    Raises:
        ValueError: an id occurs twice.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        self._documents = RankedIds(ids)
        self._vocabulary: dict[str, int] = {}
        entries = _entries(
            (self._vocabulary.setdefault(word, len(self._vocabulary)), number, count)
            for number, text in enumerate(texts)
            for word, count in Counter(words(text)).items()
        )
        self._counts = _matrix(entries, (len(self._vocabulary), len(texts)))  # V x N
        self._document_frequency = np.diff(self._counts.indptr).astype(float)
        lengths = np.maximum(self._counts.sum(0), 1.0)
        self._saturation = k1 * (1 - b + b * lengths / lengths.mean())

    def search(
        self,
        query_ids: Sequence[str],
        texts: Sequence[str],
        counts: WordCounts,
        k: int,
        settings: StructuredQueries | None = None,
        progress: Progress = lambda done, total: None,
    ) -> RetrievalRun:
        """For each query, the k best documents that contain a translation of one of its words.

        Args:
            counts: of aligned words, from the queries' words to the documents'.
        """
        settings = settings or StructuredQueries()
        queries = [Counter(words(text)) for text in texts]

        def scores() -> Iterator[Float32[np.ndarray, " N"]]:
            for start in range(0, len(queries), QUERY_BLOCK):
                yield from self._scores(queries[start : start + QUERY_BLOCK], counts, settings)
                progress(min(start + QUERY_BLOCK, len(queries)), len(queries))

        return self._documents.run(query_ids, scores(), k)

    def _scores(
        self, queries: Sequence[Counter[str]], counts: WordCounts, settings: StructuredQueries
    ) -> Float32[np.ndarray, "Q N"]:
        rows = {word: row for row, word in enumerate(dict.fromkeys(chain.from_iterable(queries)))}
        probabilities = self._probabilities(list(rows), counts, settings)  # W x V
        expected = sparse.csr_array(probabilities @ self._counts)  # W x N: tf
        frequency = probabilities @ self._document_frequency  # df
        documents = len(self._documents.ids)
        weight = np.log1p((documents - frequency + 0.5) / (frequency + 0.5))
        frequencies = expected.data
        word_of_entry = np.repeat(np.arange(len(rows)), np.diff(expected.indptr))
        expected.data = weight[word_of_entry] * frequencies / (frequencies + self._saturation[expected.indices])
        bags = _entries((query, rows[word], n) for query, bag in enumerate(queries) for word, n in bag.items())
        query_counts = _matrix(bags, (len(queries), len(rows)))  # Q x W
        return np.asarray((query_counts @ expected).todense(), dtype=np.float32)

    def _probabilities(
        self, distinct: Sequence[str], counts: WordCounts, settings: StructuredQueries
    ) -> sparse.csr_array:
        entries = []
        for row, word in enumerate(distinct):
            translations = counts.translations(word, settings.cumulative, settings.size)
            if not translations and settings.unknown == "keep":
                translations = {word: 1.0}
            for translation, probability in translations.items():
                if translation in self._vocabulary:
                    entries.append((row, self._vocabulary[translation], probability))
        return _matrix(_entries(entries), (len(distinct), len(self._vocabulary)))


def _entries(triples: Iterable[tuple[int, int, int | float]]) -> np.ndarray:
    """Entries of a matrix: row, column, value."""
    return np.fromiter(triples, [("row", np.int64), ("column", np.int64), ("value", np.float64)])


def _matrix(entries: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((entries["value"], (entries["row"], entries["column"])), shape=shape)
