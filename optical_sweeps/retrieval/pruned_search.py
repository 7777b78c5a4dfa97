"""Late-interaction search that scores only promising documents, as PLAID does (Santhanam et al. 2022, arXiv
2205.09707).

1. Each query token reads the inverted lists of the centroids nearest to it.
2. The promise of a document of these lists is its MaxSim with the centroids of its tokens in their place.
3. The most promising documents are scored exactly (`rerank`).

The result has the exact scores of the documents that it returns, and the same order of ties as `maxsim.search`.
"""

from collections.abc import Sequence
from threading import local

import numpy as np
from jaxtyping import Float32, Int64

from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.retrieval.pruned_index import PrunedIndex
from optical_sweeps.retrieval.pruning_kernels import LANES, add_promises, listed, nearest_lists
from optical_sweeps.retrieval.ranking_keys import best_documents
from optical_sweeps.retrieval.rerank import rerank
from optical_sweeps.retrieval.trec_runs import RetrievalRun


def search_pruned(
    pruned: PrunedIndex,
    query_ids: Sequence[str],
    queries: RaggedEmbeddings,
    k: int,
    probes: int,
    candidates: int,
    progress: Progress = lambda done, total: None,
    device: str = "cpu",
) -> RetrievalRun:
    """About the k documents of highest MaxSim for each query, with exact scores; ties in the order of ids.

    Args:
        probes: lists that are read for each query token.
        candidates: documents of each query that are scored exactly; at least k are.
        progress, device: as in `rerank`.

    Raises:
        ValueError: dimensions disagree, a query vector is not finite, or k < 1.
    """
    probes, candidates = min(probes, len(pruned.centroids)), max(candidates, k)
    thread = local()

    def most_promising(query: int) -> Int64[np.ndarray, " c"]:
        if not hasattr(thread, "workspace"):
            thread.workspace = _Workspace(max(map(len, pruned.index.shards)))
        return _candidates(pruned, queries[query], probes, candidates, thread.workspace)

    return rerank(pruned.index, query_ids, queries, most_promising, k, progress, device)


class _Workspace:
    """Buffers of one thread.

    Args:
        documents: of the largest shard.
    """

    def __init__(self, documents: int) -> None:
        self.seen = np.zeros(documents, np.uint8)
        self.documents = np.empty(documents, np.int32)


def _candidates(
    pruned: PrunedIndex, query: Float32[np.ndarray, "w d"], probes: int, count: int, space: _Workspace
) -> Int64[np.ndarray, " c"]:
    """Numbers of the documents with the greatest promise; ties in the order of ids."""
    index = pruned.index
    if not len(query):
        return np.empty(0, np.int64)
    similarities = pruned.similarities(query)
    lists = np.zeros((len(query), probes), np.int64)
    nearest_lists(similarities, lists)
    ranks, promises = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for shard, part, base in zip(index.shards, pruned.lists, index.firsts.tolist(), strict=True):
        seen = space.seen[: len(shard)]
        documents = space.documents[: listed(lists, part.offsets, part.documents, seen, space.documents)]
        promise = np.zeros(len(documents), np.float32)
        for group, values in enumerate(similarities.reshape(len(similarities), -1)):
            tokens = min(LANES, len(query) - group * LANES)
            add_promises(values, tokens, part.codes, shard.offsets, documents, promise)
        rank, promise = best_documents(promise, index.id_ranks[base + documents], count)
        ranks.append(rank)
        promises.append(promise)
    best, _ = best_documents(np.concatenate(promises), np.concatenate(ranks), count)
    chosen: Int64[np.ndarray, " c"] = index.id_order[best]
    return chosen
