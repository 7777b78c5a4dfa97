"""Building an index shard by shard: by any number of processes at once, and on from where a killed one stopped.

Every process runs the same loop over all shards and takes those that nobody holds (a lock file each, so a dead
holder holds nothing). A finished shard stays; checksums are compared once, when all stand. Which process builds
what changes no number: documents are encoded in stretches that are the same for all.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.retrieval.index import TokenIndex, complete, refuse_duplicates, shard_name
from optical_sweeps.retrieval.room import check_room, mean_tokens, size_of
from optical_sweeps.retrieval.settings import STRETCH, IndexSettings
from optical_sweeps.retrieval.shards import Dtype, is_sound, write_shard

Encode = Callable[[int, int], Iterator[RaggedEmbeddings]]
"""(first, last) -> the token vectors of those documents, in order, a batch at a time."""
Progress = Callable[[int, int], None]


def index_documents(
    folder: Path,
    ids: Sequence[str],
    texts: Sequence[str],
    encoder: TokenEncoder,
    settings: IndexSettings,
    progress: Progress = lambda done, total: None,
) -> TokenIndex:
    """Encode documents and index them, holding one stretch at a time; see `build_index`.

    Raises:
        UserError: disk or memory will not suffice, or the device is no place for `settings.encode_dtype`.
        ValueError: an id stands twice.
    """
    settings.check_device(encoder.projection.weight.device.type)
    size = size_of(len(ids), mean_tokens(encoder, texts), encoder.settings.dim, settings.dtype)
    there = sum(path.stat().st_size for path in folder.glob("shard-?????/*"))
    check_room(folder, size, there)

    def encode(first: int, last: int) -> Iterator[RaggedEmbeddings]:
        for start in range(first, last, STRETCH):
            stretch = texts[start : min(start + STRETCH, last)]
            yield encoder.encode(stretch, "document", precision=settings.encode_precision)

    return build_index(folder, ids, encode, settings, progress)


def build_index(
    folder: Path,
    ids: Sequence[str],
    encode: Encode,
    settings: IndexSettings,
    progress: Progress = lambda done, total: None,
) -> TokenIndex:
    """Build the shards of an index that are missing or damaged, wait for those that others build, and load it.

    Args:
        encode: called with bounds at multiples of `settings.shard_documents`.
        progress: told (documents that stand, by this process's knowledge; all of them).

    Raises:
        ValueError: an id stands twice, or `encode` gives other than the documents asked for.
    """
    refuse_duplicates(ids)
    size = settings.shard_documents
    bounds = [(first, min(first + size, len(ids))) for first in range(0, max(len(ids), 1), size)]
    standing = 0
    done: set[int] = set()

    def batches(first: int, last: int) -> Iterator[RaggedEmbeddings]:
        encoded = 0
        for batch in encode(first, last):
            yield batch
            encoded += len(batch)
            progress(min(standing + encoded, len(ids)), len(ids))

    for patience in (0, -1):  # first what nobody holds; then wait, in case a holder dies
        for number, (first, last) in enumerate(bounds):
            part = _Part(folder / shard_name(number), ids, first, last, settings.precision)
            if number not in done and part.stands(batches, patience):
                done.add(number)
                standing += last - first
                progress(standing, len(ids))
    with FileLock(folder / "index.lock"):
        if not (folder / "index.json").exists():
            for number, (first, last) in enumerate(bounds):
                part = _Part(folder / shard_name(number), ids, first, last, settings.precision)
                part.stands(batches, patience=-1, thorough=True)
            complete(folder, ids, len(bounds))
    return TokenIndex.load(folder)


@dataclass(frozen=True)
class _Part:
    """One shard's place, and which documents it holds."""

    folder: Path
    ids: Sequence[str]
    first: int
    last: int
    dtype: Dtype

    def stands(self, batches: Encode, patience: int, thorough: bool = False) -> bool:
        """Build it unless it stands; false where another process holds it and patience ran out."""
        try:
            with FileLock(self.folder.with_name(f"{self.folder.name}.lock"), timeout=patience):
                if not is_sound(self.folder, self.last - self.first, self.dtype, thorough):
                    # of builders that were killed: we hold the lock
                    for left in self.folder.parent.glob(f"{self.folder.name}.tmp-*"):
                        shutil.rmtree(left, ignore_errors=True)
                    own = self.ids[self.first : self.last]
                    write_shard(self.folder, own, batches(self.first, self.last), self.dtype)
        except Timeout:
            return False
        return True
