"""Exact late-interaction search by MaxSim (ColBERT, Khattab and Zaharia 2020, arXiv 2004.12832, equation 3):

    score(q, d) = sum over query tokens i of the max over document tokens j of <q_i, d_j>

The index is read in blocks of whole documents, which threads score concurrently; see `block_scoring`.
Documents are
never padded: padding wastes work, and a padded 0 would be the maximum wherever all cosines are negative.

Guarantees:
- Maxima are exact; a query's tokens are summed from the first to the last in float32; ties are in the order of
  document ids. Merging the best documents of blocks does not depend on their order.
- Results are therefore bit-identical for any memory budget and number of threads, provided that a matrix
  product rounds the same at every position in a tile. BLAS uses other code for narrow products, so no tile has
  fewer than `block_scoring.SMALLEST` tokens. In wider products, scores did not depend on the other queries and
  documents (MKL, AVX-512). Otherwise, scores change by rounding (1e-6 for unit vectors).
- int8 indexes: the score is that of the represented vectors, `scale * whole number`, in float32.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import local

import numpy as np
import torch
from jaxtyping import Int64

from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.block_scoring import Block, QueryTile, Workspace, blocks, score_block, tensors_of
from optical_sweeps.retrieval.block_scoring_on_device import score_block_on
from optical_sweeps.retrieval.ranking_keys import Best, unpack
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.trec_runs import RetrievalRun

TILE_QUERY_TOKENS = 512
TILE_QUERIES = 128
# Size of a block: small enough that a small index occupies several threads, large enough that merging costs
# little (100,000 documents of 60 tokens, one query: 46 blocks).
SMALLEST_BLOCK = 4_096
LARGEST_BLOCK = 131_072
BLOCK_DOCUMENTS = 4_096
BLOCKS = 32

DEFAULT_MEMORY = 512 * 2**20


@dataclass(frozen=True)
class _Plan:
    """Number of threads, and the query tiles (query numbers) of each pass over the index."""

    workers: int
    passes: tuple[tuple[Int64[np.ndarray, " _"], ...], ...]


def search(
    index: TokenIndex,
    query_ids: Sequence[str],
    queries: RaggedEmbeddings,
    k: int,
    memory_budget_bytes: int = DEFAULT_MEMORY,
    progress: Progress = lambda done, total: None,
    device: str = "cpu",
) -> RetrievalRun:
    """The k documents of highest MaxSim for each query, exactly; ties in the order of document ids.

    Documents without tokens are never returned, and queries without tokens have empty rankings.

    Args:
        memory_budget_bytes: for everything except the memory-mapped index and the result. A smaller budget
            reads the index more often.
        progress: called with the number of scored query-document pairs, and of all pairs.
        device: `cpu`, or `cuda`, where scores may differ from the CPU's by rounding.

    Raises:
        ValueError: dimensions disagree, a query vector is not finite, or k < 1.
        UserError: the memory budget is too small for any work.
    """
    check_queries(index, query_ids, queries, k)
    plan = _plan(index, queries, k, memory_budget_bytes, device)
    documents: list[tuple[str, ...]] = [()] * len(queries)
    scores = [np.empty(0, dtype=np.float32)] * len(queries)
    total = sum(len(members) for tiles in plan.passes for members in tiles) * len(index)
    done = 0
    tensors = tensors_of(index)
    with scoring_threads(plan.workers) as pool:
        for pass_members in plan.passes:
            tiles = [QueryTile.of(queries, members, index.dtype) for members in pass_members]
            best = [Best(len(tile), min(k, len(index)), device) for tile in tiles]
            count = sum(map(len, tiles))
            for scored in _score_blocks(index, tensors, tiles, best, pool, device):
                done += scored * count
                progress(done, total)
            for tile, tile_best in zip(tiles, best, strict=True):
                for query, row in zip(tile.members, tile_best.rows(), strict=True):
                    ranks, scores[query] = unpack(row)
                    documents[query] = tuple(index.ids[int(number)] for number in index.id_order[ranks])
    progress(total, total)
    return RetrievalRun(tuple(query_ids), tuple(documents), tuple(scores))


def _score_blocks(
    index: TokenIndex,
    tensors: list[torch.Tensor],
    tiles: list[QueryTile],
    best: list[Best],
    pool: ThreadPoolExecutor,
    device: str,
) -> Iterator[int]:
    """Merge every block's scores into the best of every tile; yields the number of documents of each block."""
    thread = local()

    def work(block: Block) -> int:
        if device != "cpu":
            score_block_on(device, block, tensors[block.shard_number], tiles, best)
        else:
            if not hasattr(thread, "workspace"):
                thread.workspace = Workspace(index.dim, max(tile.width for tile in tiles), index.longest)
            score_block(block, tensors[block.shard_number], tiles, best, thread.workspace)
        return block.last - block.first

    if tiles:
        yield from pool.map(work, blocks(index, _block_tokens(index), BLOCK_DOCUMENTS))


def _block_tokens(index: TokenIndex) -> int:
    return min(max(index.tokens // BLOCKS, SMALLEST_BLOCK), LARGEST_BLOCK)


def check_queries(index: TokenIndex, query_ids: Sequence[str], queries: RaggedEmbeddings, k: int) -> None:
    """Raises ValueError for queries that do not fit the index, and for k < 1."""
    if k < 1:
        raise ValueError(f"k is {k}; it has to be at least 1")
    if len(query_ids) != len(queries):
        raise ValueError(f"{len(query_ids)} query ids but the embeddings of {len(queries)} queries")
    if queries.vectors.shape[1] != index.dim:
        raise ValueError(f"queries have dimension {queries.vectors.shape[1]}, the index has {index.dim}")
    if not np.isfinite(queries.vectors).all():
        row = int(np.argmin(np.isfinite(queries.vectors).all(axis=1)))
        query = int(np.searchsorted(queries.offsets, row, side="right")) - 1
        raise ValueError(f"query {query_ids[query]!r}: a token vector is not finite")


def query_tiles(queries: RaggedEmbeddings, tokens: int = TILE_QUERY_TOKENS) -> list[Int64[np.ndarray, " nq"]]:
    """Query numbers divided into tiles of at most this many tokens; queries without tokens are in none.

    A longer query is a tile.
    """
    tiles: list[Int64[np.ndarray, " nq"]] = []
    lengths = np.diff(queries.offsets)
    members: list[int] = []
    width = 0
    for query in np.flatnonzero(lengths).tolist():
        if members and (width + lengths[query] > tokens or len(members) == TILE_QUERIES):
            tiles.append(np.array(members, np.int64))
            members, width = [], 0
        members.append(query)
        width += int(lengths[query])
    return [*tiles, np.array(members, np.int64)] if members else tiles


def _plan(index: TokenIndex, queries: RaggedEmbeddings, k: int, budget: int, device: str = "cpu") -> _Plan:
    """As many threads, then as few passes over the index, as the budget allows."""
    tiles = query_tiles(queries)
    longest_query = int(np.diff(queries.offsets).max(initial=1))
    width = min(max(TILE_QUERY_TOKENS, longest_query), max(int(queries.offsets[-1]), 1))
    kept = min(k, len(index))
    block_documents = min(BLOCK_DOCUMENTS, len(index), _block_tokens(index) + 1)
    most = max(map(len, tiles), default=1)
    if device == "cpu":
        work = Workspace.bytes(index.dim, width, index.longest)
    else:
        work = max(_block_tokens(index), index.longest) * (4 * width + 5 * index.dim)
    # float32 scores, and three copies of int64 keys while the best are merged
    work += most * (block_documents + kept) * (4 + 3 * 8)
    tile = width * index.dim * 6 + most * kept * 8
    scores = most * block_documents * 4  # of each tile, in each worker
    least = work + tile + scores
    if budget < least:
        raise UserError(
            f"evaluation.memory_budget_mb: {budget // 2**20} is too small for this index; "
            f"give at least {-(-least // 2**20)}"
        )
    wanted = torch.get_num_threads() if device == "cpu" else 1
    workers = max(1, min(wanted, (budget - tile) // (work + scores)))
    at_once = max(1, int((budget - workers * work) // (tile + workers * scores)))
    passes = tuple(tuple(tiles[start : start + at_once]) for start in range(0, len(tiles), at_once))
    return _Plan(int(workers), passes)


@contextmanager
def scoring_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that score blocks; torch uses one thread within each.

    Two threads within one small product wait for each other: while another process occupied a core, such a
    search took 15 to 40 times as long.
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)
