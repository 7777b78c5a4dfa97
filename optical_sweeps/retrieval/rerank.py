"""Exact MaxSim of given documents: the last stage of a search in stages.

Scores are equal, to the last bit, to those of `maxsim.search`: the same products of the same vectors, the same
maxima, and the same order of sums. Of many candidates in an int8 index, products of whole numbers first
exclude those that cannot be among the best, as `block_scoring` does.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    QueryTile,
    Workspace,
    document_runs,
    maxsim_scores,
    padded,
)
from optical_sweeps.retrieval.maxsim import check_queries, query_tiles, scoring_threads
from optical_sweeps.retrieval.ranking_keys import best_documents
from optical_sweeps.retrieval.shards import Shard
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.trec_runs import RetrievalRun

Candidates = Callable[[int], Int64[np.ndarray, " c"]]
"""Query number -> the numbers of the documents to score, each once, in any order."""
TileCandidates = Callable[[Int64[np.ndarray, " nq"]], Iterable[Int64[np.ndarray, " c"]]]
"""Query numbers -> the numbers of the documents to score for each of them, each once, in any order."""
TILE_TOKENS = 128
"""Query tokens of a thread's task: products of so many columns of whole numbers are the fastest."""


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
        candidates: called once per query, by several threads; not for a query without tokens.
        progress: called with the number of scored queries, and of all queries.
        device: `cpu`, or `cuda`, where scores may differ from the CPU's by rounding.

    Raises:
        ValueError: dimensions disagree, a query vector is not finite, or k < 1.
    """
    return rerank_tiles(
        index, query_ids, queries, lambda tile: map(candidates, tile.tolist()), k, progress, device
    )


def rerank_tiles(
    index: TokenIndex,
    query_ids: Sequence[str],
    queries: RaggedEmbeddings,
    candidates: TileCandidates,
    k: int,
    progress: Progress = lambda done, total: None,
    device: str = "cpu",
) -> RetrievalRun:
    """Like `rerank`, but candidates are chosen for some queries at once.

    Args:
        candidates: called once per tile of queries, by several threads.
    """
    check_queries(index, query_ids, queries, k)
    longest_query = max(SMALLEST, int(np.diff(queries.offsets).max(initial=1)))
    thread = local()
    documents: list[tuple[str, ...]] = [()] * len(queries)
    scores = [np.empty(0, np.float32)] * len(queries)

    def work(members: Int64[np.ndarray, " nq"]) -> int:
        if not hasattr(thread, "workspace"):
            thread.workspace = _Space(index, longest_query)
        tile = QueryTile.of(queries, members, index.dtype)
        for place, chosen in enumerate(candidates(members)):
            ranks, scores[members[place]] = _best(index, tile, place, chosen, k, thread.workspace, device)
            documents[members[place]] = tuple(index.ids[int(number)] for number in index.id_order[ranks])
        return len(members)

    _ = index.id_order  # computed once, before several threads need it
    done = 0
    with scoring_threads(torch.get_num_threads() if device == "cpu" else 1) as pool:
        for count in pool.map(work, query_tiles(queries, TILE_TOKENS)):
            done += count
            progress(done, len(queries))
    progress(len(queries), len(queries))
    return RetrievalRun(tuple(query_ids), tuple(documents), tuple(scores))


class _Space(Workspace):
    """Buffers of one thread."""

    def __init__(self, index: TokenIndex, longest_query: int) -> None:
        longest = index.longest
        super().__init__(index.dim, longest_query + SMALLEST, longest)
        rows = max(LARGEST_CHUNK, longest)
        self.codes = torch.empty(rows, index.dim, dtype=torch.int8)
        self.scales = np.empty(rows, np.float32)


def _best(
    index: TokenIndex,
    tile: QueryTile,
    place: int,
    documents: Int64[np.ndarray, " c"],
    k: int,
    space: _Space,
    device: str,
) -> tuple[Int64[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
    """Id ranks and scores of the best documents of one query."""
    documents = np.sort(documents)  # in the order in which they lie on disk
    if device == "cpu" and tile.codes is not None and len(documents) > 2 * k:
        lowest, highest = _bounds(index, tile, place, documents, space)
        floor = np.partition(lowest, -k)[-k]
        documents = documents[highest >= floor]
    query = tile.vectors[tile.offsets[place] : tile.offsets[place + 1]].numpy()
    scores = exact_scores(index, query, documents, space, device)
    present = np.isfinite(scores)  # -inf: no token
    return best_documents(scores[present], index.id_ranks[documents[present]], k)


def _bounds(
    index: TokenIndex, tile: QueryTile, place: int, documents: Int64[np.ndarray, " c"], space: _Space
) -> tuple[Float32[np.ndarray, " c"], Float32[np.ndarray, " c"]]:
    """Lower and upper bounds of scores in an int8 index, from products of whole numbers; see `block_scoring`.

    Args:
        documents: ascending.
    """
    assert tile.codes is not None
    scores, errors = np.empty((1, len(documents)), np.float32), np.empty(len(documents), np.float32)
    own = slice(int(tile.offsets[place]), int(tile.offsets[place + 1]))
    width = -(-(own.stop - own.start) // SMALLEST) * SMALLEST
    columns = torch.zeros(index.dim, width, dtype=torch.int8)
    columns[:, : own.stop - own.start] = tile.codes[:, own]
    query_offsets = np.array([0, own.stop - own.start])
    token_scales = np.zeros(width, np.float32)
    token_scales[: own.stop - own.start] = tile.scales[own]
    for shard, places, first, last, offsets in _chunks(index, documents):
        rows = int(offsets[-1])
        codes, scales = np.asarray(shard.vectors), np.asarray(shard.scales)
        maxsim_kernels.gather(codes, scales, shard.offsets, places, space.codes.numpy(), space.scales)
        product = space.whole[: rows * width].view(rows, width)
        with torch.inference_mode():
            torch._int_mm(space.codes[:rows], columns, out=product)
        maxsim_kernels.maxsim(
            product.numpy(), space.scales, token_scales, offsets, query_offsets, scores[:, first:last]
        )
        scores[0, first:last][np.diff(offsets) == 0] = -np.inf  # not a number if a query token is zero
        errors[first:last] = tile.error[place] * shard.largest_norm
    return scores[0] - errors, scores[0] + errors


def _chunks(
    index: TokenIndex, documents: Int64[np.ndarray, " c"]
) -> Iterator[tuple[Shard, Int64[np.ndarray, " n"], int, int, Int64[np.ndarray, " bounds"]]]:
    """Documents in pieces of one shard: (shard, numbers in it, first, last, bounds of their tokens)."""
    bounds = np.searchsorted(documents, [*index.firsts.tolist(), len(index)]).tolist()
    for shard, base, start, end in zip(
        index.shards, index.firsts.tolist(), bounds[:-1], bounds[1:], strict=True
    ):
        if start == end:
            continue
        places = documents[start:end] - base
        offsets = np.zeros(len(places) + 1, np.int64)
        np.cumsum(shard.offsets[places + 1] - shard.offsets[places], out=offsets[1:])
        for first, last in document_runs(offsets, LARGEST_CHUNK, len(places)):
            chunk = offsets[first : last + 1] - offsets[first]
            yield shard, places[first:last], start + first, start + last, chunk


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
    scores: Float32[np.ndarray, " c"] = np.full(len(documents), -np.inf, np.float32)
    if not len(query):
        return scores
    tokens, own = torch.from_numpy(padded(query)), np.array([0, len(query)])
    for shard, places, first, last, offsets in _chunks(index, documents):
        floats = _floats(shard, places, int(offsets[-1]), space)
        if device == "cpu":
            maxsim_scores(floats, tokens, offsets, own, scores[None, first:last], space)
        else:
            scores[first:last] = _scores_on(device, floats[: int(offsets[-1])], query, offsets)
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
