"""Token vectors of many texts in two files, written in bounded memory and memory-mapped for reading.

<folder>/vectors.npy   float32, all texts end to end
<folder>/offsets.npy   int64: text i has rows offsets[i] to offsets[i + 1]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder


def write_vectors(
    folder: Path, encoder: TokenEncoder, texts: Sequence[str], side: Side, progress: Progress | None = None
) -> None:
    """Encode texts into a folder, with one batch in memory; bit-identical to `encoder.encode(texts, side)`."""

    def allocate(shape: tuple[int, int], dtype: type[np.float32]) -> np.ndarray:
        return np.lib.format.open_memmap(folder / "vectors.npy", "w+", dtype, shape)

    embeddings = encoder.encode(texts, side, progress=progress, allocate=allocate)
    np.save(folder / "offsets.npy", embeddings.offsets)


def load_vectors(folder: Path) -> RaggedEmbeddings:
    """The vectors that `write_vectors` wrote, memory-mapped."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    # As a plain array: a slice of a memmap is a memmap, which takes ten times as long to create.
    return RaggedEmbeddings(np.asarray(vectors), np.load(folder / "offsets.npy"))
