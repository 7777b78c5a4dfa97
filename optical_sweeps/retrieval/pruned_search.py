"""Late-interaction search that scores only promising documents.

1. Each query token reads the inverted lists of the centroids nearest to it, as in PLAID (Santhanam et al. 2022,
   arXiv 2205.09707).
2. The promise of a document of these lists is the sum over query tokens of the similarity of the nearest list
   that contains it; if none does, that of the last list read, as in XTR (Lee et al. 2023, arXiv 2304.01982) and
   WARP (Scheerer et al. 2025, arXiv 2501.17788).
3. The most promising documents are scored exactly (`rerank`).

The result has the exact scores of the documents that it returns, and the same order of ties as `maxsim.search`.
"""

from collections.abc import Iterator, Sequence
from threading import local

import numpy as np
from jaxtyping import Float32, Int32, Int64

from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.retrieval.pruned_index import PrunedIndex
from optical_sweeps.retrieval.pruning_kernels import add_gains, most_promising
from optical_sweeps.retrieval.rerank import rerank_tiles
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
    candidates, thread = max(candidates, k), local()

    def promising(tile: Int64[np.ndarray, " nq"]) -> Iterator[Int64[np.ndarray, " c"]]:
        if not hasattr(thread, "workspace"):
            thread.workspace = _Workspace(max(map(len, pruned.index.shards)))
        members = [queries[query] for query in tile.tolist()]
        numbers, values = pruned.nearest(np.concatenate(members).astype(np.float32, copy=False), probes)
        gains = values - values[:, :1]
        first = 0
        for query in members:
            rows = slice(first, first + len(query))
            yield _candidates(pruned, numbers[rows], gains[rows], candidates, thread.workspace)
            first += len(query)

    return rerank_tiles(pruned.index, query_ids, queries, promising, k, progress, device)


class _Workspace:
    """Buffers of one thread.

    Args:
        documents: of the largest shard.
    """

    def __init__(self, documents: int) -> None:
        self.seen = np.zeros(documents, np.uint16)
        self.totals = np.empty(documents, np.float32)
        self.documents = np.empty(documents, np.int32)


def _candidates(
    pruned: PrunedIndex,
    centroids: Int32[np.ndarray, "w p"],
    gains: Float32[np.ndarray, "w p"],
    count: int,
    space: _Workspace,
) -> Int64[np.ndarray, " c"]:
    """Numbers of the most promising documents, ascending."""
    most = float(gains[:, -1].sum(dtype=np.float64)) * (1 + 1e-5)  # sums of float32 are rounded
    documents: list[Int64[np.ndarray, " _"]] = []
    totals: list[Float32[np.ndarray, " _"]] = []
    for shard, lists, base in zip(pruned.index.shards, pruned.lists, pruned.index.firsts.tolist(), strict=True):
        seen = space.seen[: len(shard)]
        listed = add_gains(
            centroids, gains, lists.offsets, lists.documents, seen, space.totals, space.documents
        )
        best = np.empty(min(count, listed), np.int64)
        most_promising(space.documents[:listed], space.totals, most, best)
        documents.append(best + base)
        totals.append(space.totals[best])
    if len(documents) == 1:
        return documents[0]
    numbers, promises = np.concatenate(documents), np.concatenate(totals)
    best = np.empty(min(count, len(numbers)), np.int64)
    most_promising(np.arange(len(numbers), dtype=np.int32), promises, most, best)
    chosen: Int64[np.ndarray, " c"] = numbers[best]
    return chosen
