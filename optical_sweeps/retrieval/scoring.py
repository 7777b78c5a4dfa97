"""MaxSim of one block of documents with tiles of queries on a CPU.

A chunk of the block whose similarities stay in the cache is multiplied with a tile, and one compiled pass takes
maxima and sums (`_kernels`).

- float32, float16: the product is of float32; float16 is widened a chunk at a time, once for all tiles.
- int8: two steps. Query tokens are rounded to whole numbers too, q_i = t_i * p_i + e_i, and a product of whole
  numbers, four times as fast, gives every document a score that is off by at most
      sum over i of |e_i| * (length of the longest document token)
  since |<e_i, d_j>| <= |e_i| |d_j| (Cauchy-Schwarz), and a maximum moves by no more than its terms. Then only
  the documents that may yet be among the k best are scored in float32. What comes out is exact.

Shape legend: W query tokens of a tile, nq queries, nd documents, R document tokens, d dimensions.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Shaped
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.retrieval import _kernels
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.keys import Best, keys
from optical_sweeps.retrieval.shards import LEVELS, Shard, quantise

SMALLEST = 16
# Similarities of a chunk, in the cache between product and maximum: 1 MB, of 1,024 to 8,192 tokens. One thread,
# whole numbers, 32 query tokens: 172 GOP/s in chunks of 512, 219 of 1,024, 236 of 8,192; 512 query tokens: 395.
CHUNK_SIMILARITIES = 2**18
SMALLEST_CHUNK, LARGEST_CHUNK = 1_024, 8_192


@dataclass(frozen=True)
class Block:
    """Documents `first` to `last` of a shard; `id_ranks` are theirs."""

    shard_number: int
    shard: Shard
    first: int
    last: int
    id_ranks: Int64[np.ndarray, " nd"]

    @property
    def offsets(self) -> Int64[np.ndarray, " bounds"]:
        """In rows of the shard."""
        return self.shard.offsets[self.first : self.last + 1]


@dataclass(frozen=True)
class QueryTile:
    """Queries whose W tokens stand end to end, and, for an int8 index, the same in whole numbers.

    Args:
        members: their numbers.
        offsets: query j has rows `offsets[j]` to `offsets[j + 1]`.
        vectors: with rows to spare where there are fewer than `SMALLEST`.
        codes: as columns; a token is about its column times its scale.
        error: of each query, a bound of its near scores' error for document tokens of length 1.
    """

    members: Int64[np.ndarray, " nq"]
    offsets: Int64[np.ndarray, " query_bounds"]
    vectors: Float32[Tensor, "W d"]
    codes: Tensor | None
    scales: Float32[np.ndarray, " W"]
    error: Float[np.ndarray, " nq"]

    def __len__(self) -> int:
        return len(self.members)

    @property
    def width(self) -> int:
        return len(self.vectors)

    @classmethod
    def of(cls, queries: RaggedEmbeddings, members: Int64[np.ndarray, " nq"], dtype: str) -> "QueryTile":
        """The tile of these queries, for an index of this precision."""
        parts = [queries[int(query)] for query in members]
        offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
        vectors = _widened(np.concatenate(parts).astype(np.float32, copy=False))
        codes, scales = quantise(vectors)
        lost = vectors.astype(np.float64) - codes * scales[:, None].astype(np.float64)
        error, length = (
            np.add.reduceat(np.linalg.norm(rows, axis=1)[: offsets[-1]], offsets[:-1])
            for rows in (lost, vectors.astype(np.float64))
        )
        # A float32 sum of n terms is off by at most n * 2^-23 of the sum of their sizes; doubled for safety.
        rounding = (vectors.shape[1] + np.diff(offsets) + 4) * 2**-22 * length
        columns = torch.from_numpy(np.ascontiguousarray(codes.T)) if _filters(dtype) else None
        return cls(members, offsets, torch.from_numpy(vectors), columns, scales, error + rounding)

    def one(self, query: int) -> Float32[Tensor, "w d"]:
        """The vectors of one query."""
        own = self.vectors[self.offsets[query] : self.offsets[query + 1]]
        return own if len(own) >= SMALLEST else torch.from_numpy(_widened(own.numpy()))


class Workspace:
    """What one thread writes over again and again: fresh memory for every product would cost more than it."""

    def __init__(self, dim: int, width: int, longest: int) -> None:
        rows = max(LARGEST_CHUNK, longest) + SMALLEST
        self.floats = torch.empty(rows, dim)
        self.product = torch.empty(rows * width)
        self.whole = torch.empty(rows * width, dtype=torch.int32)

    @staticmethod
    def bytes(dim: int, width: int, longest: int) -> int:
        """Of a workspace, and of what is made beside it."""
        return (max(LARGEST_CHUNK, longest) + SMALLEST) * (3 * dim + 2 * width + 4) * 4


def tensors_of(index: TokenIndex) -> list[Tensor]:
    """The shards' vectors as tensors, mapped as they are; nothing here writes to them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return [torch.from_numpy(np.asarray(shard.vectors)) for shard in index.shards]


def blocks(index: TokenIndex, tokens: int, documents: int) -> Iterator[Block]:
    """The whole index in order, in blocks of whole documents of about so many tokens at most."""
    for number, (shard, base) in enumerate(zip(index.shards, index.firsts.tolist(), strict=True)):
        for first, last in _cut(shard.offsets, tokens, documents):
            yield Block(number, shard, first, last, index.id_ranks[base + first : base + last])


def score_block(
    block: Block, vectors: Shaped[Tensor, "T d"], tiles: list[QueryTile], best: list[Best], space: Workspace
) -> None:
    """Merge the scores of one block into the best keys of every tile."""
    scores = [np.empty((len(tile), block.last - block.first), np.float32) for tile in tiles]
    rows = max(SMALLEST_CHUNK, min(LARGEST_CHUNK, CHUNK_SIMILARITIES // max(tile.width for tile in tiles)))
    filtered = _filters(str(block.shard.vectors.dtype))
    for first, last in _cut(block.offsets, rows, block.last - block.first):
        start, end = int(block.offsets[first]), int(block.offsets[last])
        offsets = block.offsets[first : last + 1] - start
        if filtered:
            assert block.shard.scales is not None
            scales = np.asarray(block.shard.scales[start:end])
            for tile, of_tile in zip(tiles, scores, strict=True):
                product = space.whole[: (end - start) * tile.width].view(end - start, tile.width)
                assert tile.codes is not None
                torch._int_mm(vectors[start:end], tile.codes, out=product)
                _kernels.scaled_maxsim(
                    product.numpy(), scales, tile.scales, offsets, tile.offsets, of_tile[:, first:last]
                )
        else:
            floats = _floats(block.shard, vectors, start, end, space)
            for tile, of_tile in zip(tiles, scores, strict=True):
                _maxsim(floats, tile.vectors, offsets, tile.offsets, of_tile[:, first:last], space)
    present = np.diff(block.offsets) > 0
    for tile, of_tile, best_of in zip(tiles, scores, best, strict=True):
        if filtered:
            highest = of_tile + (tile.error * block.shard.largest_norm)[:, None]
            hopeful = present & (highest >= best_of.floors()[:, None])
            for query in np.flatnonzero(hopeful.any(axis=1)).tolist():
                documents = np.flatnonzero(hopeful[query])
                _refine(block, documents, highest[query], tile, query, best_of, space)
        elif present.any():
            best_of.merge(_keys(of_tile[:, present], block.id_ranks[present]))


def _refine(
    block: Block,
    documents: Int64[np.ndarray, " nd"],
    highest: Float[np.ndarray, " _"],
    tile: QueryTile,
    query: int,
    best: Best,
    space: Workspace,
) -> None:
    """Score exactly the documents whose highest possible score leaves them a chance to be among the best."""
    if len(documents) > 4 * best.k:  # the most promising first: they raise the floor
        order = np.argpartition(highest[documents], -best.k)
        _add_exact(block, documents[order[-best.k :]], tile, query, best, space)
        documents = documents[order[: -best.k]]
        documents = documents[highest[documents] >= best.floor(query)]
    _add_exact(block, documents, tile, query, best, space)


def _add_exact(
    block: Block,
    documents: Int64[np.ndarray, " nd"],
    tile: QueryTile,
    query: int,
    best: Best,
    space: Workspace,
) -> None:
    if not len(documents):
        return
    vectors = tile.one(query)
    counts = np.diff(block.offsets)[documents]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    scores = np.empty((1, len(documents)), np.float32)
    own = np.array([0, tile.offsets[query + 1] - tile.offsets[query]])
    codes, scales = np.asarray(block.shard.vectors), np.asarray(block.shard.scales)
    for first, last in _cut(offsets, LARGEST_CHUNK, len(documents)):
        rows = int(offsets[last] - offsets[first])
        floats = space.floats[: max(rows, SMALLEST)]
        floats[rows:] = 0
        _kernels.widen(codes, scales, block.offsets, documents[first:last], floats.numpy())
        chunk = offsets[first : last + 1] - offsets[first]
        _maxsim(floats, vectors, chunk, own, scores[:, first:last], space)
    best.merge_one(query, _keys(scores, block.id_ranks[documents])[0])


def _maxsim(
    floats: Float32[Tensor, "R d"],
    tokens: Float32[Tensor, "W d"],
    offsets: Int64[np.ndarray, " bounds"],
    query_offsets: Int64[np.ndarray, " query_bounds"],
    scores: Float32[np.ndarray, "nq nd"],
    space: Workspace,
) -> None:
    product = space.product[: len(floats) * len(tokens)].view(len(floats), len(tokens))
    with torch.inference_mode():
        torch.mm(floats, tokens.T, out=product)
    _kernels.maxsim(product.numpy(), offsets, query_offsets, scores)


def _floats(
    shard: Shard, vectors: Shaped[Tensor, "T d"], start: int, end: int, space: Workspace
) -> Float32[Tensor, "R d"]:
    """Rows of a shard as float32, with rows to spare where there are fewer than `SMALLEST`."""
    if vectors.dtype == torch.float32 and end - start >= SMALLEST:
        return vectors[start:end]
    floats = space.floats[: max(end - start, SMALLEST)]
    floats[: end - start].copy_(vectors[start:end])
    floats[end - start :] = 0
    if shard.scales is not None:
        floats[: end - start] *= torch.from_numpy(np.array(shard.scales[start:end]))[:, None]
    return floats


def _keys(scores: Float32[np.ndarray, "nq nd"], id_ranks: Int64[np.ndarray, " nd"]) -> Int64[Tensor, "nq nd"]:
    return keys(torch.from_numpy(scores), torch.from_numpy(np.array(id_ranks)))


def _widened(vectors: Float32[np.ndarray, "w d"]) -> Float32[np.ndarray, "W d"]:
    """With rows of zeros to spare where there are fewer than `SMALLEST`."""
    spare = max(0, SMALLEST - len(vectors))
    return np.concatenate([vectors, np.zeros((spare, vectors.shape[1]), np.float32)]) if spare else vectors


def _cut(offsets: Int64[np.ndarray, " bounds"], tokens: int, documents: int) -> Iterator[tuple[int, int]]:
    """Runs of whole documents, of at most so many tokens (a longer document is a run of its own)."""
    first, count = 0, len(offsets) - 1
    while first < count:
        last = int(np.searchsorted(offsets, offsets[first] + tokens, side="right")) - 1
        last = min(max(last, first + 1), first + documents, count)
        yield first, last
        first = last


def _filters(dtype: str) -> bool:
    return dtype == "int8" and whole_numbers_are_exact()


@cache
def whole_numbers_are_exact() -> bool:
    """Whether this machine's product of int8 is what it should be.

    Without VNNI some libraries add pairs of products in 16 bits, which overflow; an index is then read as
    float32.
    """
    extreme = torch.full((64, 128), LEVELS, dtype=torch.int8)
    try:
        products = [
            torch._int_mm(a, b.T.contiguous()) for a in (extreme, -extreme) for b in (extreme, -extreme)
        ]
    except (RuntimeError, AttributeError):
        return False
    return all(bool((product.abs() == 128 * LEVELS**2).all()) for product in products)
