"""Exact MaxSim of given documents: the last stage of a search in stages.

Scores are equal, to the last bit, to those of `maxsim.search`: the same products of the same vectors, the same
maxima, and the same order of sums.
"""

from collections.abc import Callable, Sequence
from threading import local

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.retrieval import maxsim_kernels
from optical_sweeps.retrieval.block_scoring import (
    LARGEST_CHUNK,
    SMALLEST,
    Workspace,
    document_runs,
    maxsim_scores,
    padded,
)
from optical_sweeps.retrieval.maxsim import check_queries, scoring_threads
from optical_sweeps.retrieval.ranking_keys import best_documents
from optical_sweeps.retrieval.shards import Shard
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.trec_runs import RetrievalRun

Candidates = Callable[[int], Int64[np.ndarray, " c"]]
"""Query number -> the numbers of the documents to score, each once, in any order."""


def rerank(
    index: TokenIndex,
    query_ids: Sequence[str],
    queries: RaggedEmbeddings,
    candidates: Candidates,
    k: int,
    progress: Progress = lambda done, total: None,
    device: str = "cpu",
) -> RetrievalRun:
    """The k documents of highest MaxSim among each query's candidates; ties in the order of document ids.

    Documents without tokens are never returned, and queries without tokens have empty rankings.

    Args:
        candidates: called once per query, by several threads.
        progress: called with the number of scored queries, and of all queries.
        device: `cpu`, or `cuda`, where scores may differ from the CPU's by rounding.

    Raises:
        ValueError: dimensions disagree, a query vector is not finite, or k < 1.
    """
    check_queries(index, query_ids, queries, k)
    longest_query = max(SMALLEST, int(np.diff(queries.offsets).max(initial=1)))
    thread = local()

    def ranking(query: int) -> tuple[tuple[str, ...], Float32[np.ndarray, " k"]]:
        if not hasattr(thread, "workspace"):
            thread.workspace = Workspace(index.dim, longest_query, index.longest)
        documents = np.sort(candidates(query))  # in the order in which they lie on disk
        scores = exact_scores(index, queries[query], documents, thread.workspace, device)
        present = np.isfinite(scores)  # -inf: no token
        ranks, best = best_documents(scores[present], index.id_ranks[documents[present]], k)
        return tuple(index.ids[int(number)] for number in index.id_order[ranks]), best

    _ = index.id_order  # computed once, before several threads need it
    rankings = []
    with scoring_threads(torch.get_num_threads() if device == "cpu" else 1) as pool:
        for done, found in enumerate(pool.map(ranking, range(len(queries))), start=1):
            rankings.append(found)
            progress(done, len(queries))
    documents, scores = zip(*rankings, strict=True) if rankings else ((), ())
    return RetrievalRun(tuple(query_ids), tuple(documents), tuple(scores))


def exact_scores(
    index: TokenIndex,
    query: Float32[np.ndarray, "w d"],
    documents: Int64[np.ndarray, " c"],
    space: Workspace,
    device: str = "cpu",
) -> Float32[np.ndarray, " c"]:
    """MaxSim of a query with documents; -inf for a document without tokens, and for a query without tokens.

    Args:
        documents: numbers of documents, ascending.
    """
    scores = np.full(len(documents), -np.inf, np.float32)
    if not len(query):
        return scores
    bounds = np.searchsorted(documents, [*index.firsts.tolist(), len(index)])
    for shard, base, start, end in zip(index.shards, index.firsts, bounds[:-1], bounds[1:], strict=True):
        places = documents[start:end] - base
        offsets = np.concatenate([[0], np.cumsum(np.diff(shard.offsets)[places])])
        for first, last in document_runs(offsets, LARGEST_CHUNK, len(places)):
            chunk = offsets[first : last + 1] - offsets[first]
            floats = _floats(shard, places[first:last], int(chunk[-1]), space)
            part = scores[start + first : start + last]
            if device == "cpu":
                own = np.array([0, len(query)])
                maxsim_scores(floats, torch.from_numpy(padded(query)), chunk, own, part[None], space)
            else:
                part[:] = _scores_on(device, floats[: int(chunk[-1])], query, chunk)
    return scores


def _floats(
    shard: Shard, documents: Int64[np.ndarray, " n"], rows: int, space: Workspace
) -> Float32[Tensor, "R d"]:
    """The documents' token vectors, end to end, padded with zeros to `SMALLEST` rows."""
    floats = space.floats[: max(rows, SMALLEST)]
    floats[rows:] = 0
    codes = np.asarray(shard.vectors)
    if shard.scales is not None:
        scales = np.asarray(shard.scales)
        maxsim_kernels.widen(codes, scales, shard.offsets, documents, floats.numpy())
    else:
        starts, ends = shard.offsets[documents], shard.offsets[documents + 1]
        ranges = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
        floats[:rows] = torch.from_numpy(codes[np.concatenate([np.empty(0, np.int64), *ranges])])
    return floats


@torch.inference_mode()
def _scores_on(
    device: str,
    floats: Float32[Tensor, "R d"],
    query: Float32[np.ndarray, "w d"],
    offsets: Int64[np.ndarray, " bounds"],
) -> Float32[np.ndarray, " n"]:
    """Scores of documents on a device; -inf for a document without tokens."""
    product = floats.to(device) @ torch.from_numpy(query).to(device).T
    lengths = torch.from_numpy(np.diff(offsets)).to(device)
    maxima = torch.segment_reduce(product, "max", lengths=lengths, axis=0)
    scores: Float32[np.ndarray, " n"] = maxima.sum(dim=1).cpu().numpy()
    return scores
