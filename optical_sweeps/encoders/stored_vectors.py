"""Token vectors of many texts in two files, written in bounded memory and mapped by whoever reads them.

<folder>/vectors.npy   float32, all texts end to end
<folder>/offsets.npy   int64: text i has rows offsets[i] to offsets[i + 1]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import Progress, Side, TokenEncoder, by_length

BATCH = 64
STRETCH = 256
"""Batches that are encoded, and then put in their places, at a time."""


def write_vectors(
    folder: Path, encoder: TokenEncoder, texts: Sequence[str], side: Side, progress: Progress | None = None
) -> None:
    """Encode texts into a folder: the bits of `encoder.encode(texts, side)`, holding a stretch at a time."""
    tokens = encoder.tokenize_texts(texts, side)
    order = by_length(tokens)
    stretches = [order[start : start + STRETCH * BATCH] for start in range(0, len(order), STRETCH * BATCH)]
    lengths = np.zeros(len(order), np.int64)
    sorted_file = folder / "sorted.bin"
    with sorted_file.open("wb") as file:
        done = 0
        for rows in stretches:  # by length already: each batch is the one that all texts would have given
            ragged = encoder.encode(tokens.take(rows), side, BATCH)
            ragged.vectors.tofile(file)
            lengths[rows] = np.diff(ragged.offsets)
            done += len(rows)
            if progress is not None:
                progress(done, len(order))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    np.save(folder / "offsets.npy", offsets)
    shape = (int(offsets[-1]), encoder.settings.dim)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, shape)
    if len(vectors):
        _put_in_order(vectors, np.memmap(sorted_file, np.float32, "r", shape=shape), offsets, stretches)
    vectors.flush()
    sorted_file.unlink()


def load_vectors(folder: Path) -> RaggedEmbeddings:
    """What `write_vectors` wrote; vectors are mapped, not read."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    # as a plain array: every slice of a memmap is one too, and costs ten times as much
    return RaggedEmbeddings(np.asarray(vectors), np.load(folder / "offsets.npy"))


def _put_in_order(
    vectors: np.ndarray,
    by_length: np.ndarray,
    offsets: Int64[np.ndarray, " bounds"],
    stretches: Sequence[Int64[np.ndarray, " _"]],
) -> None:
    start = 0
    for rows in stretches:
        counts = offsets[rows + 1] - offsets[rows]
        firsts = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(offsets[rows] - firsts, counts)
        vectors[places] = by_length[start : start + len(places)]
        start += len(places)
