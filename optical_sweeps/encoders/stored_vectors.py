"""Token vectors of many texts in two files, written in bounded memory and memory-mapped for reading.

<folder>/vectors.npy   float32, all texts end to end
<folder>/offsets.npy   int64: text i has rows offsets[i] to offsets[i + 1]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.ragged import offsets_of
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import Progress, TokenEncoder
from optical_sweeps.encoders.tokenized_texts import by_length

BATCH = 64
BLOCK_BATCHES = 256
"""Batches that are in memory at a time."""


def write_vectors(
    folder: Path, encoder: TokenEncoder, texts: Sequence[str], side: Side, progress: Progress | None = None
) -> None:
    """Encode texts into a folder, block by block; bit-identical to `encoder.encode(texts, side)`."""
    tokens = encoder.tokenize_texts(texts, side)
    order = by_length(tokens)
    size = BLOCK_BATCHES * BATCH
    blocks = [order[start : start + size] for start in range(0, len(order), size)]
    lengths = np.zeros(len(order), np.int64)
    sorted_file = folder / "sorted.bin"
    with sorted_file.open("wb") as file:
        done = 0
        for rows in blocks:  # sorted by length, so every batch is the one that `encode` would form
            ragged = encoder.encode(tokens.take(rows), side, BATCH)
            ragged.vectors.tofile(file)
            lengths[rows] = np.diff(ragged.offsets)
            done += len(rows)
            if progress is not None:
                progress(done, len(order))
    offsets = offsets_of(lengths)
    np.save(folder / "offsets.npy", offsets)
    shape = (int(offsets[-1]), encoder.settings.dim)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, shape)
    if len(vectors):
        _restore_order(vectors, np.memmap(sorted_file, np.float32, "r", shape=shape), offsets, blocks)
    vectors.flush()
    sorted_file.unlink()


def load_vectors(folder: Path) -> RaggedEmbeddings:
    """The vectors that `write_vectors` wrote, memory-mapped."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    # As a plain array: a slice of a memmap is a memmap, which takes ten times as long to create.
    return RaggedEmbeddings(np.asarray(vectors), np.load(folder / "offsets.npy"))


def _restore_order(
    vectors: np.ndarray,
    sorted_vectors: np.ndarray,
    offsets: Int64[np.ndarray, " bounds"],
    blocks: Sequence[Int64[np.ndarray, " _"]],
) -> None:
    start = 0
    for rows in blocks:
        counts = offsets[rows + 1] - offsets[rows]
        firsts = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(offsets[rows] - firsts, counts)
        vectors[places] = sorted_vectors[start : start + len(places)]
        start += len(places)
