"""Exact late-interaction search by MaxSim (ColBERT, Khattab and Zaharia 2020, arXiv 2004.12832, equation 3):

    score(q, d) = sum over query tokens i of the max over document tokens j of <q_i, d_j>

Documents have different lengths. Padding them would waste work and asks for care (a padded 0 wins where all
cosines are negative), so nothing is padded: documents are sorted by length inside a block, a run of equal
length is one product, and the maximum runs over an axis of that length. Measured for 20,552 tokens of
documents by 22,862 of queries, dimension 128, on two cores, seconds of the maximum alone (the product takes
about 0.8): numpy.maximum.reduceat 0.9 to 2.4, torch.segment_reduce 0.6, equal lengths 0.1.

What holds of scores and order:
- The cut into blocks and tiles depends on the index and the queries alone, and each tile is computed by one
  thread. So results are the same bit for bit whatever the memory budget and the number of threads.
- Maxima are exact; sums over query tokens run from the first to the last in float32.
- A product may round differently with its place in a tile. No tile is narrower than `SMALLEST` tokens: BLAS
  takes other paths for those. Above it, scores did not depend on the company of a query or document (MKL,
  AVX-512). Where a library behaves otherwise, scores move by rounding (1e-6 for unit vectors).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.runs import RetrievalRun

# Sizes of the cut. Tiles of 1,024 by 512 similarities (2 MB) stay in the cache between product and maximum:
# 1.05 s for the shape above; 512 by 512 took 1.2 s, 4,096 by 1,024 1.5 times as long on one thread.
BLOCK_TOKENS = 32_768
BLOCK_DOCUMENTS = 4_096
TILE_DOCUMENT_TOKENS = 1_024
TILE_QUERY_TOKENS = 512
TILE_QUERIES = 128
SMALLEST = 16

DEFAULT_MEMORY = 512 * 2**20

_LOW_BITS = 2**32 - 1


@dataclass(frozen=True)
class _Plan:
    """Threads to use, and the query tiles (query numbers) of each pass over the index."""

    workers: int
    passes: tuple[tuple[Int64[np.ndarray, " _"], ...], ...]


@dataclass(frozen=True)
class _QueryTile:
    """nq queries of `length` tokens each; row i * nq + j of `vectors` is token i of query j."""

    queries: Int64[np.ndarray, " nq"]
    length: int
    vectors: Float[Tensor, "r d"]


@dataclass(frozen=True)
class _Block:
    """Documents of one stretch of the index, sorted by length; `pieces` cuts them in (length, count) runs."""

    documents: Int64[np.ndarray, " nd"]
    pieces: tuple[tuple[int, int], ...]
    vectors: Float[Tensor, "r d"]


def search(
    index: TokenIndex,
    query_ids: Sequence[str],
    queries: RaggedEmbeddings | TokenEmbeddings,
    k: int,
    memory_budget_bytes: int = DEFAULT_MEMORY,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RetrievalRun:
    """The k documents of highest MaxSim for each query, exactly; ties in the order of document ids.

    Documents without tokens are not found, and queries without tokens find nothing.

    Args:
        memory_budget_bytes: for all but the index, which is mapped, and the result. A smaller budget reads
            the index more often.
        progress: told (query-document pairs scored, all of them).

    Raises:
        ValueError: dimensions disagree, a query vector is not finite, or k < 1.
        UserError: the memory budget is too small to start.
    """
    queries = flatten(queries) if isinstance(queries, TokenEmbeddings) else queries
    _check(index, query_ids, queries, k)
    plan = _plan(index, queries, k, memory_budget_bytes)
    documents: list[tuple[str, ...]] = [()] * len(queries)
    scores = [np.empty(0, dtype=np.float32)] * len(queries)
    id_order = np.argsort(index.id_ranks)
    total = sum(len(members) for tiles in plan.passes for members in tiles) * len(index)
    done = 0
    with _pool(plan.workers) as pool:
        for members in plan.passes:
            tiles = [_load_tile(queries, of_tile) for of_tile in members]
            best: list[Tensor | None] = [None] * len(tiles)
            for block in _blocks(index):
                _score_block(index, block, tiles, best, k, pool)
                done += len(block.documents) * sum(len(tile.queries) for tile in tiles)
                progress(done, total)
            for tile, keys in zip(tiles, best, strict=True):
                if keys is not None:
                    for query, row in zip(tile.queries, keys.numpy(), strict=True):
                        found, scores[query] = _unpack(row)
                        documents[query] = tuple(index.ids[document] for document in id_order[found])
    progress(total, total)
    return RetrievalRun(tuple(query_ids), tuple(documents), tuple(scores))


def flatten(embeddings: TokenEmbeddings) -> RaggedEmbeddings:
    """The vectors of a padded batch that take part, end to end."""
    counts = embeddings.mask.sum(-1).cpu().numpy()
    vectors = embeddings.vectors[embeddings.mask].float().cpu().numpy()
    return RaggedEmbeddings(vectors, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def _check(index: TokenIndex, query_ids: Sequence[str], queries: RaggedEmbeddings, k: int) -> None:
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 document has to be asked for")
    if len(query_ids) != len(queries):
        raise ValueError(f"{len(query_ids)} query ids but the embeddings of {len(queries)} queries")
    if queries.vectors.shape[1] != index.dim:
        raise ValueError(f"queries have dimension {queries.vectors.shape[1]}, the index has {index.dim}")
    if not np.isfinite(queries.vectors).all():
        row = int(np.argmin(np.isfinite(queries.vectors).all(axis=1)))
        query = int(np.searchsorted(queries.offsets, row, side="right")) - 1
        raise ValueError(f"query {query_ids[query]!r}: a token vector is not finite")


# --- the cut ---


def _tiles(queries: RaggedEmbeddings) -> list[Int64[np.ndarray, " nq"]]:
    """Query numbers in tiles of equal length."""
    lengths = np.diff(queries.offsets)
    tiles = []
    for length in np.unique(lengths[lengths > 0]):
        members = np.flatnonzero(lengths == length)
        step = max(1, min(TILE_QUERIES, TILE_QUERY_TOKENS // int(length)))
        tiles += [members[start : start + step] for start in range(0, len(members), step)]
    return tiles


def _load_tile(queries: RaggedEmbeddings, members: Int64[np.ndarray, " nq"]) -> _QueryTile:
    starts = queries.offsets[members]
    length = int(queries.offsets[members[0] + 1] - starts[0])
    rows = (np.arange(length)[:, None] + starts[None, :]).ravel()
    padding = np.full(max(0, SMALLEST - len(rows)), rows[0])
    vectors = queries.vectors[np.concatenate([rows, padding])].astype(np.float32, copy=False)
    return _QueryTile(members, length, torch.from_numpy(vectors))


def _block_bounds(index: TokenIndex) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(index):
        limit = index.offsets[first] + BLOCK_TOKENS
        last = int(np.searchsorted(index.offsets, limit, side="right")) - 1
        last = min(max(last, first + 1), first + BLOCK_DOCUMENTS)
        yield first, last
        first = last


def _blocks(index: TokenIndex) -> Iterator[_Block]:
    for first, last in _block_bounds(index):
        if (block := _load_block(index, first, last)) is not None:
            yield block


def _load_block(index: TokenIndex, first: int, last: int) -> _Block | None:
    """Read documents `first` to `last`, sorted by length; None where none has a token."""
    lengths = np.diff(index.offsets[first : last + 1])
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    if not len(order):
        return None
    counts = lengths[order]
    starts = index.offsets[first:last][order] - index.offsets[first]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.repeat(starts, counts) + within
    # Rows to spare, so that the last tile is never narrower than SMALLEST.
    rows = np.concatenate([rows, np.full(SMALLEST, rows[0])])
    stretch = index.vectors[index.offsets[first] : index.offsets[last]]
    vectors = torch.from_numpy(np.asarray(stretch)[rows].astype(np.float32, copy=False))
    pieces = []
    for length, documents in zip(*np.unique(counts, return_counts=True), strict=True):
        step = max(1, TILE_DOCUMENT_TOKENS // int(length))
        pieces += [(int(length), min(step, int(documents) - at)) for at in range(0, int(documents), step)]
    return _Block(first + order, tuple(pieces), vectors)


def _plan(index: TokenIndex, queries: RaggedEmbeddings, k: int, budget: int) -> _Plan:
    """As many threads, then as few passes over the index, as the budget allows."""
    longest_document = int(np.diff(index.offsets).max(initial=0))
    longest_query = int(np.diff(queries.offsets).max(initial=0))
    kept = min(k, len(index))
    query_tokens = max(TILE_QUERY_TOKENS, longest_query)
    block = (max(BLOCK_TOKENS, longest_document) + SMALLEST) * index.dim * (4 + index.vectors.itemsize)
    similarities = max(TILE_DOCUMENT_TOKENS, longest_document) * query_tokens * 4 * 2
    # float32 scores, and int64 keys in three copies while the best are merged
    keys = TILE_QUERIES * (min(BLOCK_DOCUMENTS, len(index)) + kept) * (4 + 3 * 8)
    tile = query_tokens * index.dim * 4 + TILE_QUERIES * kept * 8
    least = block + similarities + keys + tile
    if budget < least:
        raise UserError(
            f"evaluation.memory_budget_mb: {budget // 2**20} is too small for this index; "
            f"give at least {-(-least // 2**20)}"
        )
    workers = min(torch.get_num_threads(), (budget - block - tile) // (similarities + keys))
    at_once = (budget - block - workers * (similarities + keys)) // tile
    tiles = _tiles(queries)
    passes = tuple(tuple(tiles[start : start + at_once]) for start in range(0, len(tiles), at_once))
    return _Plan(workers, passes)


# --- scores ---


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that share out tiles, each of which computes alone.

    Two threads inside one small product wait for each other: where another process held a core, such a search
    took 15 to 40 times as long.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _score_block(
    index: TokenIndex,
    block: _Block,
    tiles: list[_QueryTile],
    best: list[Tensor | None],
    k: int,
    pool: ThreadPoolExecutor,
) -> None:
    """Merge the scores of one block into the best keys of every tile."""
    id_ranks = torch.from_numpy(index.id_ranks[block.documents])

    def work(number: int) -> None:
        keys = _keys(_scores(block, tiles[number]), id_ranks)
        before = best[number]
        keys = keys if before is None else torch.cat([before, keys], dim=1)
        best[number] = keys.topk(min(k, keys.shape[1]), dim=1).values

    for _ in pool.map(work, range(len(tiles))):
        pass


@torch.inference_mode()
def _scores(block: _Block, tile: _QueryTile) -> Float[Tensor, "nq nd"]:
    """MaxSim of every query of a tile with every document of a block."""
    queries = len(tile.queries)
    scores = torch.empty(queries, len(block.documents))
    row = column = 0
    for length, documents in block.pieces:
        rows = length * documents
        product = block.vectors[row : row + max(rows, SMALLEST)] @ tile.vectors.T
        maxima = product[:rows, : tile.length * queries].reshape(documents, length, -1).amax(1)
        maxima = maxima.view(documents, tile.length, queries)
        total = maxima[:, 0].clone()
        for token in range(1, tile.length):
            total += maxima[:, token]
        scores[:, column : column + documents] = total.T
        row += rows
        column += documents
    return scores


def _keys(scores: Float[Tensor, "nq nd"], id_ranks: Int64[Tensor, " nd"]) -> Int64[Tensor, "nq nd"]:
    """One integer for (score, id rank), larger is better: no two are equal, so their order is the ranking."""
    bits = (scores + 0.0).view(torch.int32)  # adding 0 turns -0 into 0
    ordered = bits ^ ((bits >> 31) & 0x7FFF_FFFF)
    return (ordered.long() << 32) | (_LOW_BITS - id_ranks)


def _unpack(keys: Int64[np.ndarray, " k"]) -> tuple[Int64[np.ndarray, " k"], np.ndarray]:
    """Id ranks and float32 scores of keys."""
    ordered = (keys >> 32).astype(np.int32)
    bits = ordered ^ ((ordered >> 31) & 0x7FFF_FFFF)
    return _LOW_BITS - (keys & _LOW_BITS), bits.view(np.float32)
