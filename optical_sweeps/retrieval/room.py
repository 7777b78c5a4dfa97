"""What an index will take of disk and memory, told before a long build begins."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.settings import STRETCH

SAMPLE = 1_000
_SPARE = 1.1  # a sample's mean is not the mean
_COMPONENT = {"float32": 4, "float16": 2, "int8": 1}
_ID = 80  # bytes of a Python string of 30 characters
_GB = 1e9


@dataclass(frozen=True)
class IndexSize:
    """Of an index of so many documents.

    Args:
        tokens: of all documents, estimated.
        disk: bytes of the index.
        memory: bytes at the busiest moment of its build, beyond the encoder's.
    """

    documents: int
    tokens: int
    disk: int
    memory: int


def size_of(documents: int, tokens_each: float, dim: int, dtype: str) -> IndexSize:
    """The size of an index.

    MIRACL's English passages, at about 100 tokens each:

    >>> size = size_of(32_893_221, 100.0, 128, "int8")
    >>> f"{size.disk / 1e9:.0f} GB on disk, {size.memory / 1e9:.0f} GB of memory"
    '436 GB on disk, 3 GB of memory'
    """
    tokens = int(documents * tokens_each)
    vector = dim * _COMPONENT[dtype] + (4 if dtype == "int8" else 0)
    stretch = int(min(documents, STRETCH) * tokens_each * dim * 4) * 2  # encoded, and put in order
    ids = documents * (_ID + 3 * 8)  # sorted once at the end
    return IndexSize(documents, tokens, tokens * vector + documents * (8 + 8 + 8 + 32), max(stretch, ids))


def mean_tokens(encoder: TokenEncoder, texts: Sequence[str]) -> float:
    """Tokens of a document that are stored, from a thousand texts at even distances."""
    places = np.unique(np.linspace(0, len(texts) - 1, min(SAMPLE, len(texts))).astype(int))
    sample = encoder.tokenize_texts([texts[int(place)] for place in places], "document")
    return float(sample.mask.sum() / max(len(places), 1))


def check_room(folder: Path, size: IndexSize, there: int = 0, name: str = "index") -> None:
    """Refuse to begin what cannot fit.

    Args:
        folder: where the index will be; need not exist.
        there: bytes of it that stand already.

    Raises:
        UserError: the disk or the memory is too small.
    """
    needed = int(size.disk * _SPARE) - there
    free = _free_disk(folder)
    what = f"{size.documents:,} documents of {size.tokens / max(size.documents, 1):.0f} tokens"
    if needed > free:
        raise UserError(
            f"{name}: {what} need {needed / _GB:.1f} GB on disk, {free / _GB:.1f} GB are free in "
            f"{folder}; make room, set paths.artifacts to a larger disk, or index.dtype to int8"
        )
    if size.memory > (memory := free_memory()):
        raise UserError(
            f"{name}: {what} need {size.memory / _GB:.1f} GB of memory to build, "
            f"{memory / _GB:.1f} GB are free; stop other programs or take a larger machine"
        )


def free_memory() -> int:
    """Bytes that programs may still take."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # no Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _free_disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
