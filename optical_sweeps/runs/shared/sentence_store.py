"""What is computed of single sentences, stored in shards that grow as runs need more sentences.

A shard is an entry of the artifact store. It never changes, and contains
    hashes.npy    the sentences' hashes, ascending
    offsets.npy   int64: sentence i has rows offsets[i] to offsets[i + 1]
    <name>.npy    an array of rows, sentences end to end, for each name

Runs that need other sentences add shards. Processes that work side by side claim different sentences, so that
none is computed twice; a process that is killed loses the shard it was computing.

Shape legend: N sentences, in any order and with repetitions; D distinct ones.
"""

import hashlib
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Int64

from optical_sweeps.array_files import load_array
from optical_sweeps.console import Advance, echo
from optical_sweeps.encoders.sentence_hashes import SentenceHashes, sentence_hashes
from optical_sweeps.runs.shared.sentence_claims import Claims
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, StoredPart

FIRST_SHARD = 2048
"""Sentences of a process's first shard; each of the following ones takes about `SHARD_SECONDS`."""
SHARD_SECONDS = 10.0
WAIT_SECONDS = 0.2
"""Time between two looks at the work of other processes."""

Arrays = Mapping[str, np.ndarray]


class SentenceArtifact(StoredPart):
    """Something computed of single sentences, which must not depend on the sentences computed with them.

    Its key is every input besides the sentence.

    Attributes:
        largest_shard: most sentences that are computed, and held in memory, at a time.
    """

    largest_shard: ClassVar[int] = 1 << 14

    @abstractmethod
    def compute(self, texts: Sequence[str], advance: Advance) -> tuple[Int64[np.ndarray, " bounds"], Arrays]:
        """The offsets of the texts, and the arrays of their rows."""


@dataclass(frozen=True, eq=False)
class Shard:
    """A shard in memory-mapped files."""

    folder: Path

    @cached_property
    def hashes(self) -> SentenceHashes:
        return np.asarray(load_array(self.folder / "hashes.npy"))

    @cached_property
    def offsets(self) -> Int64[np.ndarray, " bounds"]:
        return np.asarray(load_array(self.folder / "offsets.npy"))

    def array(self, name: str) -> np.ndarray:
        """One of its arrays; as a plain array, since every slice of a memmap costs ten times as much."""
        return np.asarray(load_array(self.folder / f"{name}.npy", mapped=True))


# Entries of the store never change, so a process that executes a whole sweep reads each of them once.
@lru_cache(maxsize=4096)
def _shard(folder: Path) -> Shard:
    return Shard(folder)


@dataclass(frozen=True, eq=False)
class StoredSentences:
    """Where N sentences are stored.

    Args:
        shards: the shards that contain any of them.
        source: the shard of each sentence.
        rows: its place in that shard.
    """

    shards: tuple[Shard, ...]
    source: Int64[np.ndarray, " N"]
    rows: Int64[np.ndarray, " N"]


def stored_sentences(
    builds: ArtifactBuilds, artifact: SentenceArtifact, texts: Sequence[str]
) -> StoredSentences:
    """The sentences in the store; what is missing is computed and added, or awaited from another process.

    Args:
        texts: read by number, so that a sequence on disk need not be in memory.

    Raises:
        Interrupted: the process received a request to stop; completed shards remain.
    """
    collection = _Collection(builds, artifact)
    with builds.interruption.raising():
        hashes, first, inverse = np.unique(sentence_hashes(texts), return_index=True, return_inverse=True)
    search = _Search(collection, hashes, texts, first)
    search.look()
    if len(search.missing):
        _compute_missing(collection, search)
    return StoredSentences(tuple(search.shards), search.source[inverse], search.rows[inverse])


def _compute_missing(collection: "_Collection", search: "_Search") -> None:
    """Compute or await every sentence that is not stored."""
    builds, artifact = collection.builds, collection.artifact
    size, count, start = FIRST_SHARD, 0, time.perf_counter()
    is_waiting = False
    while len(search.missing):
        builds.interruption.check()
        with collection.claims.claim(partial(search.unclaimed, size=size)) as claimed:
            if len(claimed):
                began = time.perf_counter()
                collection.add(claimed, search)
                rate = len(claimed) / max(time.perf_counter() - began, 1e-3)
                size = max(1, min(int(rate * SHARD_SECONDS), artifact.largest_shard))
                count += len(claimed)
        search.look()
        if not len(claimed) and len(search.missing):
            if not is_waiting:
                echo(f"{artifact.part}: waiting for another process")
                is_waiting = True
            time.sleep(WAIT_SECONDS)
    seconds = time.perf_counter() - start
    builds.add_seconds(artifact, seconds)
    if count:
        builds.announce(artifact, f"{count:,} sentences", seconds)


class _Collection:
    """The shards of an artifact, and the claims on sentences to add."""

    def __init__(self, builds: ArtifactBuilds, artifact: SentenceArtifact) -> None:
        self.builds, self.artifact = builds, artifact
        self.key = artifact.stored_key()
        self.name = builds.store.folder_of(artifact.kind, self.key).name
        self.claims = Claims(builds.store.root / artifact.kind, self.name)

    def new_shards(self, seen: set[Path]) -> list[Path]:
        """The shards that are not in `seen`, to which they are added."""
        return self.builds.store.matching(self.artifact.kind, {"collection": self.name}, seen)

    def add(self, hashes: SentenceHashes, search: "_Search") -> None:
        """Compute the sentences with these ascending hashes, as one shard."""
        texts = search.texts_of(np.searchsorted(search.hashes, hashes))
        digest = hashlib.blake2b(hashes.tobytes(), digest_size=16).hexdigest()
        done, total = len(search.hashes) - len(search.missing), len(search.hashes)

        def build(folder: Path) -> None:
            with self.builds.progress(self.artifact.part) as advance:
                offsets, arrays = self.artifact.compute(texts, lambda part, _: advance(done + part, total))
            np.save(folder / "hashes.npy", hashes)
            np.save(folder / "offsets.npy", offsets)
            for name, array in arrays.items():
                np.save(folder / f"{name}.npy", array)

        key = {**self.key, "collection": self.name, "texts": digest}
        self.builds.store.get_or_build(self.artifact.kind, key, build)


class _Search:
    """Looks for sentences in the shards of a collection.

    Args:
        hashes: of the sentences, distinct and ascending.
        texts, first: `first` is a place in `texts` of each sentence.
    """

    def __init__(
        self,
        collection: _Collection,
        hashes: SentenceHashes,
        texts: Sequence[str],
        first: Int64[np.ndarray, " D"],
    ) -> None:
        self.collection, self.hashes = collection, hashes
        self._texts, self._first = texts, first
        self.source = np.full(len(hashes), -1, np.int64)
        self.rows = np.zeros(len(hashes), np.int64)
        self.shards: list[Shard] = []
        self._seen: set[Path] = set()

    @property
    def missing(self) -> Int64[np.ndarray, " m"]:
        """Numbers of the sentences that no shard has."""
        return np.flatnonzero(self.source < 0)

    def texts_of(self, numbers: Int64[np.ndarray, " m"]) -> list[str]:
        """The texts of the sentences with these numbers."""
        return [self._texts[place] for place in self._first[numbers].tolist()]

    def unclaimed(self, others: SentenceHashes, size: int) -> SentenceHashes:
        """At most `size` sentences, in ascending order, that neither a shard nor `others` contain.

        It looks in the shards only now, after the claims of others were read: a claim ends when its sentences
        are stored.
        """
        self.look()
        free = self.missing[~np.isin(self.hashes[self.missing], others)]
        # The longest first: a shard then has texts of few lengths, and too little memory shows at once.
        longest = free[np.argsort(-self._lengths[free], kind="stable")]
        return np.asarray(self.hashes[np.sort(longest[:size])])

    @cached_property
    def _lengths(self) -> Int64[np.ndarray, " D"]:
        """Characters of each sentence, read once: the texts may be on disk, and each claim sorts by length."""
        lengths = np.zeros(len(self.hashes), np.int64)
        missing = self.missing
        lengths[missing] = list(map(len, self.texts_of(missing)))
        return lengths

    def look(self) -> None:
        """Look in the shards that were added since the last look."""
        for folder in self.collection.new_shards(self._seen):
            missing = self.missing
            shard = _shard(folder)
            places = np.searchsorted(shard.hashes, self.hashes[missing])
            places[places == len(shard.hashes)] = 0
            found = shard.hashes[places] == self.hashes[missing]
            if found.any():
                self.source[missing[found]], self.rows[missing[found]] = len(self.shards), places[found]
                self.shards.append(shard)
