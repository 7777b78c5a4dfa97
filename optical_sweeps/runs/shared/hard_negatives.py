"""Hard negatives for a teacher's training, mined by BM25 or by a teacher's checkpoint; in the artifact store.

What is searched are the documents of the training examples themselves. A document known to be relevant to a
query's concept is no negative of it.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import Advance, echo, progress
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.settings import ENGLISH
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.checkpoints import fingerprint
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.settings import IndexSettings
from optical_sweeps.runs.shared.document_index import document_index, load_index
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.teacher import Mining

RECIPE = 2
"""Raised when a change of code changes what an unchanged key builds."""

STRETCH = 1024
"""Queries searched for at a time, between reports of progress."""

Found = Callable[[Sequence[str]], list[Int[np.ndarray, " k"]]]
"""Of each query text the places in the pool of what is found, best first."""


def with_mined_negatives(
    triples: Triples,
    mining: Mining,
    encoder: TokenEncoder | None,
    store: ArtifactStore,
    built: dict[str, float],
    checked: Callable[[Advance], Advance] = lambda advance: advance,
) -> Triples:
    """The queries and positives of these triples, with negatives out of the store or mined into it.

    Args:
        encoder: who mines; None is BM25.
        built: told the seconds under `negatives`, where they had to be mined.
        checked: what a report of progress passes through, such as `Interruption.checked`.
    """
    key = {
        "recipe": RECIPE,
        "triples": triples.fingerprint(),
        "by": "bm25" if encoder is None else fingerprint(encoder),
        "mining": dataclasses.asdict(mining),
    }

    def build(folder: Path) -> None:
        start = time.perf_counter()
        pool = np.unique(triples.rows[:, 1:])
        documents = _documents(triples, pool)
        find = (
            _by_words(documents, mining) if encoder is None else _by(encoder, documents, mining, store, checked)
        )
        with progress("negatives") as advance:
            rows = mined_rows(triples, pool, find, mining, checked(advance))
        np.save(folder / "rows.npy", rows)
        built["negatives"] = time.perf_counter() - start
        what = f"{len(rows)} queries with positives over {len(pool)} documents"
        echo(f"negatives: mined for {what} in {built['negatives']:.1f} s")

    folder = store.get_or_build("negatives", key, build)
    rows = np.load(folder / "rows.npy", mmap_mode="r")
    return Triples(triples.queries, triples.documents, rows, triples.concepts)


def mined_rows(
    triples: Triples, pool: Int[np.ndarray, " P"], find: Found, mining: Mining, advance: Advance
) -> Int32[np.ndarray, "N w"]:
    """Query, positive and drawn negatives of each row.

    A query that finds too little takes the rest from the whole pool, by the same seed; what `skip` leaves out
    comes last.

    Raises:
        UserError: every document is of a query's concept.
    """
    order = np.argsort(triples.rows[:, 0], kind="stable")
    queries, firsts = np.unique(triples.rows[order, 0], return_index=True)
    groups = np.split(order, firsts[1:])
    rows = np.empty((len(triples), 2 + mining.per_query), np.int32)
    rows[:, :2] = triples.rows[:, :2]
    generator = np.random.default_rng(derive_seed("negatives", mining.seed))
    pool_concepts = triples.document_concepts[pool]
    for start in range(0, len(queries), STRETCH):
        stretch = queries[start : start + STRETCH]
        found = find([triples.queries[int(query)] for query in stretch])
        for places, own in zip(found, groups[start : start + STRETCH], strict=True):
            concept = triples.concepts[own[0]]
            best = places[pool_concepts[places] != concept][: mining.depth]
            candidates = best[mining.skip :]
            if len(candidates) < mining.per_query:
                others = np.setdiff1d(np.flatnonzero(pool_concepts != concept), best)
                rest = [generator.permutation(others), best[: mining.skip][::-1]]
                candidates = np.concatenate([candidates, *rest])[: mining.per_query]
            if not len(candidates):
                query = triples.queries[int(triples.rows[own[0], 0])]
                raise UserError(
                    f"teacher.negatives: every document is relevant to the query {query!r}, or to one that "
                    "shares a document with it; set teacher.negatives=none, or train on other pairs"
                )
            for row in own:
                rows[row, 2:] = pool[_chosen(candidates, mining.per_query, generator)]
        advance(min(start + STRETCH, len(queries)), len(queries))
    return rows


def _chosen(
    candidates: Int[np.ndarray, " c"], count: int, generator: np.random.Generator
) -> Int[np.ndarray, " k"]:
    """Drawn without replacement; with it where there are too few at all."""
    return generator.choice(candidates, count, replace=len(candidates) < count)


def _documents(triples: Triples, pool: Int[np.ndarray, " P"]) -> Documents:
    ids = tuple(map(str, range(len(pool))))
    return Documents(ENGLISH, ids, tuple(triples.documents[int(row)] for row in pool))


def _depth(documents: Documents, mining: Mining) -> int:
    """Deep enough that known relevant documents among the best leave candidates."""
    return min(len(documents), 2 * mining.depth)


def _by_words(documents: Documents, mining: Mining) -> Found:
    from optical_sweeps.retrieval.lexical import LexicalIndex

    index, depth = LexicalIndex(documents.ids, documents.texts), _depth(documents, mining)

    def find(texts: Sequence[str]) -> list[Int[np.ndarray, " k"]]:
        run = index.search(list(map(str, range(len(texts)))), texts, depth)
        return [np.array(list(map(int, names)), np.int64) for names in run.documents]

    return find


def _by(
    encoder: TokenEncoder,
    documents: Documents,
    mining: Mining,
    store: ArtifactStore,
    checked: Callable[[Advance], Advance],
) -> Found:
    from optical_sweeps.retrieval.maxsim import search

    entry = document_index(store, encoder, fingerprint(encoder), documents, IndexSettings(), None, checked)
    index, depth = load_index(entry), _depth(documents, mining)

    def find(texts: Sequence[str]) -> list[Int[np.ndarray, " k"]]:
        vectors = encoder.encode(texts, "query")
        run = search(index, list(map(str, range(len(texts)))), vectors, depth)
        return [np.array(list(map(int, names)), np.int64) for names in run.documents]

    return find
