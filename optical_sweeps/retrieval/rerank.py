"""Exact MaxSim of the documents that another search returned: the second stage."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.retrieval import maxsim_kernels
from optical_sweeps.retrieval.block_scoring import padded
from optical_sweeps.retrieval.ranking_keys import best_documents
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.trec_runs import RetrievalRun


def rerank(index: TokenIndex, queries: RaggedEmbeddings, run: RetrievalRun, k: int) -> RetrievalRun:
    """The k documents of highest MaxSim among those of `run`, for each query; ties in the order of ids.

    Args:
        queries: token vectors of the run's queries, in its order.

    Raises:
        ValueError: the run contains a document that is not in the index, or has other queries.
    """
    if len(queries) != len(run):
        raise ValueError(f"the run has {len(run)} queries but there are embeddings of {len(queries)}")
    wanted = {document for documents in run.documents for document in documents}
    numbers = {name: number for number, name in enumerate(index.ids) if name in wanted}
    if unknown := wanted - numbers.keys():
        raise ValueError(f"document {min(unknown)!r} is not in the index")
    ranked = [
        _rank(index, queries[query], [numbers[name] for name in documents], k)
        for query, documents in enumerate(run.documents)
    ]
    return RetrievalRun(
        run.query_ids, tuple(documents for documents, _ in ranked), tuple(scores for _, scores in ranked)
    )


def _rank(
    index: TokenIndex, query: Float32[np.ndarray, "n d"], documents: Sequence[int], k: int
) -> tuple[tuple[str, ...], Float32[np.ndarray, " k"]]:
    vectors = {number: rows for number in documents if len(rows := index.vectors_of(number))}
    if not vectors or not len(query):
        return (), np.empty(0, np.float32)
    offsets = np.cumsum([0, *map(len, vectors.values())]).astype(np.int64)
    rows, tokens = padded(np.concatenate(list(vectors.values()))), padded(query)
    product = torch.from_numpy(rows) @ torch.from_numpy(tokens).T
    scores = np.empty((1, len(vectors)), np.float32)
    row_ones, token_ones = np.ones(len(rows), np.float32), np.ones(len(tokens), np.float32)
    query_offsets = np.array([0, len(query)])
    maxsim_kernels.maxsim(product.numpy(), row_ones, token_ones, offsets, query_offsets, scores)
    ranks, best = best_documents(scores[0], index.id_ranks[list(vectors)], k)
    return tuple(index.ids[int(number)] for number in index.id_order[ranks]), best
