"""Builds an index shard by shard, by any number of processes at once, and resumes interrupted builds.

Every process loops over all shards and builds those that no other process has locked. The operating system
releases the lock of a process that dies. A finished shard is kept; checksums are compared once, when all
shards are finished. Documents are encoded in the same blocks by every process, so the vectors do not depend on
which process builds them.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from optical_sweeps.encoders.token_embeddings import Progress, RaggedEmbeddings
from optical_sweeps.retrieval.index_settings import IndexSettings, StoredType
from optical_sweeps.retrieval.shards import is_sound, write_shard
from optical_sweeps.retrieval.token_index import TokenIndex, complete_index, refuse_duplicates, shard_name

Encode = Callable[[int, int], Iterator[RaggedEmbeddings]]
"""(first, last) -> the token vectors of these documents, in order, batch by batch."""


def build_index(
    folder: Path,
    ids: Sequence[str],
    encode: Encode,
    settings: IndexSettings,
    progress: Progress = lambda done, total: None,
) -> TokenIndex:
    """Build missing and damaged shards, wait for those that other processes build, and load the index.

    Args:
        encode: called with bounds at multiples of `settings.shard_documents`.
        progress: called with the number of indexed documents that this process knows of, and of all documents.

    Raises:
        ValueError: an id occurs twice, or `encode` returns more or fewer documents.
    """
    refuse_duplicates(ids)
    size = settings.shard_documents
    shards = [
        _ShardBuild(folder / shard_name(number), ids, first, min(first + size, len(ids)), settings.dtype)
        for number, first in enumerate(range(0, max(len(ids), 1), size))
    ]
    finished = 0

    def batches(first: int, last: int) -> Iterator[RaggedEmbeddings]:
        encoded = 0
        for batch in encode(first, last):
            yield batch
            encoded += len(batch)
            progress(min(finished + encoded, len(ids)), len(ids))

    remaining = shards
    for timeout in (0, -1):  # first the shards that no process has locked; then wait, in case a process dies
        locked = []
        for shard in remaining:
            if shard.finish(batches, timeout):
                finished += shard.last - shard.first
                progress(finished, len(ids))
            else:
                locked.append(shard)
        remaining = locked
    with FileLock(folder / "index.lock"):
        if not (folder / "index.json").exists():
            for shard in shards:
                shard.finish(batches, timeout=-1, thorough=True)
            complete_index(folder, ids, len(shards))
    return TokenIndex.load(folder)


@dataclass(frozen=True)
class _ShardBuild:
    """A shard's folder and its documents."""

    folder: Path
    ids: Sequence[str]
    first: int
    last: int
    dtype: StoredType

    def finish(self, encode: Encode, timeout: int, thorough: bool = False) -> bool:
        """Build the shard unless it is sound; false if another process still has the lock after `timeout`."""
        try:
            with FileLock(self.folder.with_name(f"{self.folder.name}.lock"), timeout=timeout):
                if not is_sound(self.folder, self.last - self.first, self.dtype, thorough):
                    # remains of killed processes: this process has the lock
                    for remains in self.folder.parent.glob(f"{self.folder.name}.tmp-*"):
                        shutil.rmtree(remains, ignore_errors=True)
                    ids = self.ids[self.first : self.last]
                    write_shard(self.folder, ids, encode(self.first, self.last), self.dtype)
        except Timeout:
            return False
        return True
