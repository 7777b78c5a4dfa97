"""Indexes texts with an encoder, in blocks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.retrieval.build_index import build_index
from optical_sweeps.retrieval.index_settings import ENCODING_BATCH, ENCODING_BLOCK, IndexSettings
from optical_sweeps.retrieval.index_size import check_free_space, index_size
from optical_sweeps.retrieval.token_index import TokenIndex

SAMPLE = 1_000
"""Documents from which the number of tokens is estimated."""


def index_documents(
    folder: Path,
    ids: Sequence[str],
    texts: Sequence[str],
    encoder: TokenEncoder,
    settings: IndexSettings,
    progress: Progress = lambda done, total: None,
) -> TokenIndex:
    """Encode documents and index them, with one block in memory; see `build_index`.

    Raises:
        UserError: disk or memory does not suffice, or the device does not support `settings.encode_dtype`.
        ValueError: an id occurs twice.
    """
    settings.check_device(encoder.projection.weight.device.type)
    size = index_size(len(ids), mean_tokens(encoder, texts), encoder.settings.dim, settings.dtype)
    existing = sum(path.stat().st_size for path in folder.glob("shard-?????/*"))
    check_free_space(folder, size, existing)

    def encode(first: int, last: int) -> Iterator[RaggedEmbeddings]:
        for start in range(first, last, ENCODING_BLOCK):
            block = texts[start : min(start + ENCODING_BLOCK, last)]
            precision = settings.encode_dtype
            yield encoder.encode(block, "document", batch_size=ENCODING_BATCH, precision=precision)

    return build_index(folder, ids, encode, settings, progress)


def mean_tokens(encoder: TokenEncoder, texts: Sequence[str]) -> float:
    """Mean number of stored tokens per document, from a sample at even distances."""
    places = np.unique(np.linspace(0, len(texts) - 1, min(SAMPLE, len(texts))).astype(int))
    sample = encoder.tokenize_texts([texts[int(place)] for place in places], "document")
    return float(sample.mask.sum() / max(len(places), 1))
