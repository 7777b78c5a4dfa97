"""Padding of ragged token vectors."""

import numpy as np
import torch
from jaxtyping import Int

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings


def pad_embeddings(ragged: RaggedEmbeddings, rows: Int[np.ndarray, " B"]) -> TokenEmbeddings:
    """The token vectors of the texts with these rows, as one padded batch."""
    starts, ends = ragged.offsets[rows], ragged.offsets[rows + 1]
    mask = np.arange(max(1, (ends - starts).max(initial=1))) < (ends - starts)[:, None]
    vectors = np.zeros((*mask.shape, ragged.vectors.shape[1]), np.float32)
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        vectors[row, : end - start] = ragged.vectors[start:end]
    return TokenEmbeddings(torch.from_numpy(vectors), torch.from_numpy(mask))
