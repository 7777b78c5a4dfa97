"""Hard negatives for training a teacher, mined with BM25 or with a teacher's checkpoint.

The documents of the training examples themselves are searched. A document that is known to be relevant to a
query's concept is never one of its negatives.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Int32

from optical_sweeps.array_files import load_array
from optical_sweeps.console import Advance
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.languages import ENGLISH
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.index_settings import IndexSettings
from optical_sweeps.retrieval.trec_runs import RetrievalRun
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.teacher_settings import NegativeMining

STRETCH = 1024
"""Queries searched at a time, between reports of progress."""

Retrieve = Callable[[Sequence[str]], list[Int[np.ndarray, " k"]]]
"""For each query, the pool indices of its retrieved documents, best first."""


@dataclass(frozen=True, eq=False)
class HardNegatives(SharedArtifact[Triples]):
    """The queries and positives of `triples`, with mined negatives.

    Args:
        encoder: searches for negatives; None searches with BM25.
    """

    triples: Triples
    mining: NegativeMining
    encoder: TokenEncoder | None

    kind = "negatives"
    recipe = 3

    def key(self) -> Mapping[str, object]:
        return {
            "triples": self.triples.fingerprint(),
            "by": "bm25" if self.encoder is None else fingerprint(self.encoder),
            "mining": dataclasses.asdict(self.mining),
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        texts = tuple(self.triples.documents[int(row)] for row in self._pool)
        documents = Documents(ENGLISH, tuple(map(str, range(len(texts)))), texts)
        # Deep enough that candidates remain when known relevant documents are among the best.
        depth = min(len(documents), 2 * self.mining.depth)
        retrieve = _bm25(documents, depth) if self.encoder is None else self._maxsim(documents, depth, builds)
        with builds.progress("negatives") as advance:
            rows = mined_rows(self.triples, self._pool, retrieve, self.mining, advance)
        np.save(folder / "rows.npy", rows)

    def load(self, folder: Path) -> Triples:
        rows = load_array(folder / "rows.npy", mapped=True)
        return Triples(self.triples.queries, self.triples.documents, rows, self.triples.concepts)

    def source(self) -> str:
        return f"{len(self.triples)} queries with positives over {len(self._pool)} documents"

    @cached_property
    def _pool(self) -> Int[np.ndarray, " P"]:
        return np.unique(self.triples.rows[:, 1:])

    def _maxsim(self, documents: Documents, depth: int, builds: ArtifactBuilds) -> Retrieve:
        from optical_sweeps.retrieval.maxsim import search

        encoder = self.encoder
        assert encoder is not None
        index = builds.get(DocumentIndex(encoder, fingerprint(encoder), documents, IndexSettings()))

        def retrieve(texts: Sequence[str]) -> list[Int[np.ndarray, " k"]]:
            queries = list(map(str, range(len(texts))))
            return _pool_indices(search(index, queries, encoder.encode(texts, "query"), depth))

        return retrieve


def _bm25(documents: Documents, depth: int) -> Retrieve:
    from optical_sweeps.retrieval.lexical import LexicalIndex

    index = LexicalIndex(documents.ids, documents.texts)

    def retrieve(texts: Sequence[str]) -> list[Int[np.ndarray, " k"]]:
        return _pool_indices(index.search(list(map(str, range(len(texts)))), texts, depth))

    return retrieve


def _pool_indices(run: RetrievalRun) -> list[Int[np.ndarray, " k"]]:
    return [np.array(list(map(int, names)), np.int64) for names in run.documents]


def mined_rows(
    triples: Triples, pool: Int[np.ndarray, " P"], retrieve: Retrieve, mining: NegativeMining, advance: Advance
) -> Int32[np.ndarray, "N w"]:
    """Query, positive and drawn negatives of each row.

    A query with too few candidates gets the rest from the whole pool, drawn with the same seed; the documents
    that `skip` excludes are used last.

    Raises:
        UserError: every document is relevant to a query's concept.
    """
    order = np.argsort(triples.rows[:, 0], kind="stable")
    queries, firsts = np.unique(triples.rows[order, 0], return_index=True)
    groups = np.split(order, firsts[1:])
    rows = np.empty((len(triples), 2 + mining.per_query), np.int32)
    rows[:, :2] = triples.rows[:, :2]
    generator = np.random.default_rng(derive_seed("negatives", mining.seed))
    pool_concepts = triples.document_concepts[pool]
    for start in range(0, len(queries), STRETCH):
        texts = [triples.queries[int(query)] for query in queries[start : start + STRETCH]]
        query_rows = groups[start : start + STRETCH]
        for text, retrieved, group in zip(texts, retrieve(texts), query_rows, strict=True):
            relevant = pool_concepts == triples.concepts[group[0]]
            candidates = _candidates(retrieved, relevant, mining, generator)
            if not len(candidates):
                raise UserError(
                    f"teacher.negatives: every document is relevant to the query {text!r}, or to one that "
                    "shares a document with it; set teacher.negatives=none, or train on other pairs"
                )
            for row in group:
                too_few = len(candidates) < mining.per_query
                rows[row, 2:] = pool[generator.choice(candidates, mining.per_query, replace=too_few)]
        advance(min(start + STRETCH, len(queries)), len(queries))
    return rows


def _candidates(
    retrieved: Int[np.ndarray, " k"],
    relevant: Bool[np.ndarray, " P"],
    mining: NegativeMining,
    generator: np.random.Generator,
) -> Int[np.ndarray, " c"]:
    """Pool indices that the negatives of one query are drawn from."""
    best = retrieved[~relevant[retrieved]][: mining.depth]
    candidates: Int[np.ndarray, " c"] = best[mining.skip :]
    if len(candidates) >= mining.per_query:
        return candidates
    others = np.setdiff1d(np.flatnonzero(~relevant), best)
    rest = [generator.permutation(others), best[: mining.skip][::-1]]
    return np.concatenate([candidates, *rest])[: mining.per_query]
