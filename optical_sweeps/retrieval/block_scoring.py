"""MaxSim of one block of documents with tiles of queries on a CPU.

The block is multiplied with a tile chunk by chunk, so that the similarities stay in the cache, and one
compiled pass takes maxima and sums (`maxsim_kernels`).

- float32, float16: the product is computed in float32; float16 is converted once per chunk for all tiles.
- int8: two steps. Query tokens are rounded to whole numbers as well, q_i = t_i * p_i + e_i. A product of whole
  numbers, which is four times as fast, then gives every document a score with an error of at most
      sum over i of |e_i| * (norm of the longest document token)
  since |<e_i, d_j>| <= |e_i| |d_j| (Cauchy-Schwarz), and a maximum changes by no more than its terms. Only
  documents that can still be among the k best are then scored in float32, so the result is exact.

Shape legend: W query tokens of a tile, nq queries, nd documents, R document tokens, T tokens of a shard,
d dimensions.
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
from optical_sweeps.retrieval import maxsim_kernels
from optical_sweeps.retrieval.ranking_keys import Best, keys
from optical_sweeps.retrieval.shards import LEVELS, Shard, quantise
from optical_sweeps.retrieval.token_index import TokenIndex

SMALLEST = 16
"""Tokens of the narrowest product: BLAS rounds narrower ones differently."""
# Similarities of a chunk, which stay in the cache between product and maximum: 1 MB, 1,024 to 8,192 tokens. One
# thread, whole numbers, 32 query tokens: 172 GOP/s in chunks of 512 tokens, 219 of 1,024, 236 of 8,192; with
# 512 query tokens 395.
CHUNK_SIMILARITIES = 2**18
SMALLEST_CHUNK, LARGEST_CHUNK = 1_024, 8_192


@dataclass(frozen=True)
class Block:
    """Documents `first` to `last` of a shard, and their id ranks."""

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
    """Queries whose W tokens lie end to end, and, for an int8 index, the same tokens in whole numbers.

    Args:
        members: the queries' numbers.
        offsets: query j has rows `offsets[j]` to `offsets[j + 1]`.
        vectors: padded with zeros to `SMALLEST` rows.
        codes: as columns; a token is approximately its column times its scale.
        error: for each query, the bound of its approximate scores' error for document tokens of norm 1.
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
        vectors = padded(np.concatenate(parts).astype(np.float32, copy=False))
        codes, scales = quantise(vectors)
        lost = vectors.astype(np.float64) - codes * scales[:, None].astype(np.float64)
        error, norms = (
            np.add.reduceat(np.linalg.norm(rows, axis=1)[: offsets[-1]], offsets[:-1])
            for rows in (lost, vectors.astype(np.float64))
        )
        # The error of a float32 sum of n terms is at most n * 2^-23 of the sum of their sizes; doubled.
        rounding = (vectors.shape[1] + np.diff(offsets) + 4) * 2**-22 * norms
        columns = torch.from_numpy(np.ascontiguousarray(codes.T)) if _filters(dtype) else None
        return cls(members, offsets, torch.from_numpy(vectors), columns, scales, error + rounding)

    def one(self, query: int) -> Float32[Tensor, "w d"]:
        """The vectors of one query, padded."""
        rows = self.vectors[self.offsets[query] : self.offsets[query + 1]]
        return torch.from_numpy(padded(rows.numpy()))


class Workspace:
    """Buffers of one thread, reused because allocating them for every product costs more than the product."""

    def __init__(self, dim: int, width: int, longest: int) -> None:
        rows = max(LARGEST_CHUNK, longest) + SMALLEST
        self.floats = torch.empty(rows, dim)
        self.product = torch.empty(rows * width)
        self.whole = torch.empty(rows * width, dtype=torch.int32)
        self.ones = np.ones(max(rows, width), np.float32)

    @staticmethod
    def bytes(dim: int, width: int, longest: int) -> int:
        """Of a workspace and of the arrays allocated during its use."""
        return (max(LARGEST_CHUNK, longest) + SMALLEST) * (3 * dim + 2 * width + 4) * 4


def tensors_of(index: TokenIndex) -> list[Tensor]:
    """The shards' memory-mapped vectors as tensors, which must not be written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return [torch.from_numpy(np.asarray(shard.vectors)) for shard in index.shards]


def blocks(index: TokenIndex, tokens: int, documents: int) -> Iterator[Block]:
    """The whole index in order, in blocks of whole documents of at most about this size."""
    for number, (shard, base) in enumerate(zip(index.shards, index.firsts.tolist(), strict=True)):
        for first, last in document_runs(shard.offsets, tokens, documents):
            yield Block(number, shard, first, last, index.id_ranks[base + first : base + last])


def score_block(
    block: Block, vectors: Shaped[Tensor, "T d"], tiles: list[QueryTile], best: list[Best], space: Workspace
) -> None:
    """Merge the scores of one block into the best keys of every tile."""
    scores = _scores(block, vectors, tiles, space)
    present = np.diff(block.offsets) > 0
    for tile, tile_scores, tile_best in zip(tiles, scores, best, strict=True):
        if _filters(str(block.shard.vectors.dtype)):
            highest = tile_scores + (tile.error * block.shard.largest_norm)[:, None]
            candidates = present & (highest >= tile_best.floors()[:, None])
            for query in np.flatnonzero(candidates.any(axis=1)).tolist():
                documents = np.flatnonzero(candidates[query])
                _refine(block, documents, highest[query], tile, query, tile_best, space)
        elif present.any():
            tile_best.merge(_keys(tile_scores[:, present], block.id_ranks[present]))


def _scores(
    block: Block, vectors: Shaped[Tensor, "T d"], tiles: list[QueryTile], space: Workspace
) -> list[Float32[np.ndarray, "nq nd"]]:
    """Scores of the block with each tile; approximate for an int8 index that is filtered."""
    scores = [np.empty((len(tile), block.last - block.first), np.float32) for tile in tiles]
    rows = max(SMALLEST_CHUNK, min(LARGEST_CHUNK, CHUNK_SIMILARITIES // max(tile.width for tile in tiles)))
    filters = _filters(str(block.shard.vectors.dtype))
    for first, last in document_runs(block.offsets, rows, block.last - block.first):
        start, end = int(block.offsets[first]), int(block.offsets[last])
        offsets = block.offsets[first : last + 1] - start
        floats = None if filters else _floats(block.shard, vectors, start, end, space)
        for tile, tile_scores in zip(tiles, scores, strict=True):
            part = tile_scores[:, first:last]
            if floats is not None:
                maxsim_scores(floats, tile.vectors, offsets, tile.offsets, part, space)
                continue
            assert tile.codes is not None
            assert block.shard.scales is not None
            product = space.whole[: (end - start) * tile.width].view(end - start, tile.width)
            torch._int_mm(vectors[start:end], tile.codes, out=product)
            scales = np.asarray(block.shard.scales[start:end])
            maxsim_kernels.maxsim(product.numpy(), scales, tile.scales, offsets, tile.offsets, part)
    return scores


def _refine(
    block: Block,
    documents: Int64[np.ndarray, " nd"],
    highest: Float[np.ndarray, " _"],
    tile: QueryTile,
    query: int,
    best: Best,
    space: Workspace,
) -> None:
    """Score the documents exactly whose highest possible score could be among the best."""
    if len(documents) > 4 * best.k:  # the most promising first: they raise the floor
        order = np.argpartition(highest[documents], -best.k)
        _add_exact(block, documents[order[-best.k :]], tile, query, best, space)
        documents = documents[order[: -best.k]]
        documents = documents[highest[documents] >= best.floors()[query]]
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
    query_offsets = np.array([0, tile.offsets[query + 1] - tile.offsets[query]])
    codes, scales = np.asarray(block.shard.vectors), np.asarray(block.shard.scales)
    for first, last in document_runs(offsets, LARGEST_CHUNK, len(documents)):
        rows = int(offsets[last] - offsets[first])
        floats = space.floats[: max(rows, SMALLEST)]
        floats[rows:] = 0
        maxsim_kernels.widen(codes, scales, block.offsets, documents[first:last], floats.numpy())
        chunk = offsets[first : last + 1] - offsets[first]
        maxsim_scores(floats, vectors, chunk, query_offsets, scores[:, first:last], space)
    best.merge_one(query, _keys(scores, block.id_ranks[documents])[0])


def maxsim_scores(
    floats: Float32[Tensor, "R d"],
    tokens: Float32[Tensor, "W d"],
    offsets: Int64[np.ndarray, " bounds"],
    query_offsets: Int64[np.ndarray, " query_bounds"],
    scores: Float32[np.ndarray, "nq nd"],
    space: Workspace,
) -> None:
    """Fill in scores; both sides have at least `SMALLEST` tokens, so that BLAS rounds every product alike."""
    product = space.product[: len(floats) * len(tokens)].view(len(floats), len(tokens))
    with torch.inference_mode():
        torch.mm(floats, tokens.T, out=product)
    row_ones, token_ones = space.ones[: len(floats)], space.ones[: len(tokens)]
    maxsim_kernels.maxsim(product.numpy(), row_ones, token_ones, offsets, query_offsets, scores)


def _floats(
    shard: Shard, vectors: Shaped[Tensor, "T d"], start: int, end: int, space: Workspace
) -> Float32[Tensor, "R d"]:
    """Rows of a shard as float32, padded with zeros to `SMALLEST` rows."""
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


def padded(vectors: Float32[np.ndarray, "w d"]) -> Float32[np.ndarray, "W d"]:
    """Vectors with rows of zeros appended up to `SMALLEST` rows."""
    missing = max(0, SMALLEST - len(vectors))
    return np.concatenate([vectors, np.zeros((missing, vectors.shape[1]), np.float32)]) if missing else vectors


def document_runs(
    offsets: Int64[np.ndarray, " bounds"], tokens: int, documents: int
) -> Iterator[tuple[int, int]]:
    """Runs of whole documents with at most this many tokens and documents; a longer document is its own run."""
    first, count = 0, len(offsets) - 1
    while first < count:
        last = int(np.searchsorted(offsets, offsets[first] + tokens, side="right")) - 1
        last = min(max(last, first + 1), first + documents, count)
        yield first, last
        first = last


def _filters(dtype: str) -> bool:
    return dtype == "int8" and int8_product_is_exact()


@cache
def int8_product_is_exact() -> bool:
    """Whether this machine multiplies int8 matrices correctly.

    Without VNNI some libraries add pairs of products in 16 bits, which overflow; an index is then searched as
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
