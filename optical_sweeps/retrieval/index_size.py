"""Disk space and memory that an index needs, checked before a long build."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.index_settings import ENCODING_BLOCK, StoredType

SAMPLING_MARGIN = 1.1  # the mean of a sample differs from the mean of all documents
COMPONENT_BYTES = {"float32": 4, "float16": 2, "int8": 1}
ID_BYTES = 80  # of a Python string of 30 characters
GB = 1e9


@dataclass(frozen=True)
class IndexSize:
    """Estimated size of an index.

    Args:
        tokens: of all documents.
        disk: bytes of the index.
        memory: peak bytes of its build, in addition to the encoder's.
    """

    documents: int
    tokens: int
    disk: int
    memory: int


def index_size(documents: int, tokens_each: float, dim: int, dtype: StoredType) -> IndexSize:
    """The size of an index.

    MIRACL's English passages, at about 100 tokens each:

    >>> size = index_size(32_893_221, 100.0, 128, "int8")
    >>> f"{size.disk / 1e9:.0f} GB on disk, {size.memory / 1e9:.0f} GB of memory"
    '436 GB on disk, 3 GB of memory'
    """
    tokens = int(documents * tokens_each)
    vector = dim * COMPONENT_BYTES[dtype] + (4 if dtype == "int8" else 0)
    block = int(min(documents, ENCODING_BLOCK) * tokens_each * dim * 4)
    ids = documents * (ID_BYTES + 3 * 8)  # sorted once at the end
    return IndexSize(documents, tokens, tokens * vector + documents * (8 + 8 + 8 + 32), max(block, ids))


def check_free_space(folder: Path, size: IndexSize, existing: int = 0, name: str = "index") -> None:
    """Refuse to begin a build that cannot fit.

    Args:
        folder: of the index; it need not exist.
        existing: bytes of it that are already on disk.

    Raises:
        UserError: the disk or the memory is too small.
    """
    needed = int(size.disk * SAMPLING_MARGIN) - existing
    free = free_disk(folder)
    amount = f"{size.documents:,} documents of {size.tokens / max(size.documents, 1):.0f} tokens"
    if needed > free:
        raise UserError(
            f"{name}: {amount} need {needed / GB:.1f} GB on disk, {free / GB:.1f} GB are free in "
            f"{folder}; free some space, set paths.artifacts to a larger disk, or index.dtype to int8"
        )
    if size.memory > (memory := free_memory()):
        raise UserError(
            f"{name}: {amount} need {size.memory / GB:.1f} GB of memory to build, "
            f"{memory / GB:.1f} GB are free; stop other programs or use a larger machine"
        )


def free_memory() -> int:
    """Bytes of memory available to programs."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_disk(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
