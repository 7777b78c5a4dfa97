"""The passages that a student finds for queries, and the tokens that MaxSim matched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.inspection.token_alignment import token_names
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.pruned_index import PrunedIndex
from optical_sweeps.retrieval.pruned_search import search_pruned
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.retrieval.token_index import TokenIndex


@dataclass(frozen=True)
class Match:
    """A query token, its most similar document token, and their dot product."""

    query: str
    document: str
    similarity: float


@dataclass(frozen=True)
class Passage:
    """A retrieved document; `score` is the sum of the similarities of `matches`."""

    rank: int
    id: str
    score: float
    text: str
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class SearchResult:
    """A query and its passages, best first."""

    id: str
    query: str
    passages: tuple[Passage, ...]


def search_passages(
    queries: Sequence[tuple[str, str]],
    query_encoder: TokenEncoder,
    document_encoder: TokenEncoder,
    documents: Documents,
    index: TokenIndex,
    k: int,
    pruned: tuple[PrunedIndex, PrunedSearch] | None = None,
) -> Iterator[SearchResult]:
    """Search for queries, and find the tokens that matched in each passage.

    Args:
        queries: (id, text).
        index: token vectors of `documents`, made by `document_encoder`.
        k: passages per query.
        pruned: the pruned index and how to search it; None searches exactly.
    """
    ids, texts = zip(*queries, strict=True)
    vectors = query_encoder.encode(texts, "query")
    numbers = [str(number) for number in range(len(ids))]
    if pruned is None:
        ranking = search(index, numbers, vectors, k)
    else:
        lists, how = pruned
        ranking = search_pruned(lists, numbers, vectors, k, how.probes, how.candidates)
    positions = documents.positions(name for names in ranking.documents for name in names)
    for number, (names, scores) in enumerate(zip(ranking.documents, ranking.scores, strict=True)):
        tokens, passages = token_names(query_encoder, texts[number], "query"), []
        for rank, (name, score) in enumerate(zip(names, scores.tolist(), strict=True), start=1):
            position = positions[name]
            text, document = documents.texts[position], index.vectors_of(position)
            matches = token_matches(
                tokens, vectors[number], token_names(document_encoder, text, "document"), document
            )
            passages.append(Passage(rank, name, score, text, matches))
        yield SearchResult(ids[number], texts[number], tuple(passages))


def token_matches(
    query_tokens: Sequence[str],
    query: Float[np.ndarray, "n d"],
    document_tokens: Sequence[str],
    document: Float[np.ndarray, "m d"],
) -> tuple[Match, ...]:
    """The terms of MaxSim: each query token's most similar document token.

    >>> token_matches(["a"], np.array([[1.0, 0.0]]), ["b", "c"], np.array([[0.0, 1.0], [0.5, 0.0]]))
    (Match(query='a', document='c', similarity=0.5),)
    """
    similarities = query @ document.T
    return tuple(
        Match(token, document_tokens[best], round(float(similarities[row, best]), 4))
        for row, (token, best) in enumerate(zip(query_tokens, similarities.argmax(1).tolist(), strict=True))
    )
