"""Blocks of filtered sentence pairs, parsed and filtered by all cores, in the order of their sources.

Shape legend: N pairs of a block.
"""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import connection

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from optical_sweeps.corpora.filters import LANGUAGE_ID, BitextFilters, pair_hash
from optical_sweeps.corpora.readers.bitext import Pair, Parse, RawPairs
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.corpora.well_formed import well_formed

CHUNK = 1 << 13
"""Records that a process parses and filters at a time."""
CHUNKS_ALONE = 8
"""Chunks of a bitext that are parsed without other processes, whose start would take longer."""


@dataclass(frozen=True)
class SourceChunk:
    """Consecutive raw records of one source.

    Args:
        name: the source's name, under which its pairs are counted.
        first: number of the first record, from 1.
        weight: how often each pair counts.
    """

    name: str
    first: int
    records: Sequence[object]
    parse: Parse
    weight: float


@dataclass(frozen=True)
class PairBlock:
    """The pairs of a chunk that passed all tests of single pairs before language identification.

    Args:
        sides: the English texts and the translations, in UTF-8, concatenated.
        lengths: bytes of each text.
        hashes: equal for duplicates; empty if duplicates are kept.
        copies: how often each pair counts.
        other_language: pairs that failed language identification, which still count as the first of duplicates.
        read: number of pairs in the chunk.
        faults: records that gave no pair, by kind.
        first_fault: message of the first of them.
        dropped: pairs dropped, by test.
    """

    sides: tuple[bytes, bytes]
    lengths: tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]
    hashes: UInt64[np.ndarray, " M"]
    copies: Int64[np.ndarray, " N"]
    other_language: Bool[np.ndarray, " N"]
    name: str
    read: int
    faults: Counter[str] = field(default_factory=Counter)
    first_fault: str | None = None
    dropped: Counter[str] = field(default_factory=Counter)


class PairFilter:
    """Parses and filters chunks of one language's pairs.

    Args:
        seed: seed of the choice among pairs of a source with a fractional weight.
    """

    def __init__(self, language: str, filters: BitextFilters, seed: int) -> None:
        self.tests = tuple(filters.tests(language).items())
        self.hashes_pairs = filters.drop_duplicates
        self.seed = seed

    def block(self, chunk: SourceChunk) -> PairBlock:
        """The pairs of a chunk that pass."""
        faults: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        kept: list[Pair] = []
        other_language: list[bool] = []
        read, first_fault = 0, None
        for number, record in enumerate(chunk.records, start=chunk.first):
            pair = chunk.parse(number, record)
            if isinstance(pair, Fault):
                faults[pair.kind] += 1
                first_fault = first_fault or pair.message
                continue
            read += 1
            failed = self._failed(pair)
            if failed is None or failed == LANGUAGE_ID:
                kept.append(pair)
                other_language.append(failed is not None)
            else:
                dropped[failed] += 1
        english, translations = ([_encoded(pair[side]) for pair in kept] for side in (0, 1))
        hashes = b"".join(map(pair_hash, kept)) if self.hashes_pairs else b""
        return PairBlock(
            sides=(b"".join(english), b"".join(translations)),
            lengths=(_lengths(english), _lengths(translations)),
            hashes=np.frombuffer(hashes, "<u8"),
            copies=self._copies(kept, chunk.weight),
            other_language=np.array(other_language, bool),
            name=chunk.name,
            read=read,
            faults=faults,
            first_fault=first_fault,
            dropped=dropped,
        )

    def _failed(self, pair: Pair) -> str | None:
        """The name of the first test that the pair fails."""
        english, translation = pair
        for name, passes in self.tests:
            if not passes(english, translation):
                return name
        return None

    def _copies(self, pairs: Sequence[Pair], weight: float) -> Int64[np.ndarray, " N"]:
        """How often each pair counts; the fraction of a weight is drawn by the pair's own hash."""
        whole = int(weight)
        copies = np.full(len(pairs), whole, np.int64)
        if whole != weight:
            key = f"weight {self.seed}".encode()
            for place, pair in enumerate(pairs):
                digest = hashlib.blake2b("\0".join(pair).encode(), digest_size=8, key=key).digest()
                copies[place] += int.from_bytes(digest, "big") / 2**64 < weight - whole
        return copies


def chunks(name: str, pairs: RawPairs, weight: float) -> Iterator[SourceChunk]:
    """The raw records of a source in chunks."""
    records = iter(pairs.records)
    first = 1
    while part := list(islice(records, CHUNK)):
        yield SourceChunk(name, first, part, pairs.parse, weight)
        first += len(part)


def filtered_blocks(all_chunks: Iterable[SourceChunk], pair_filter: PairFilter) -> Iterator[PairBlock]:
    """The blocks of all chunks in order; a large bitext is filtered by one process for each core."""
    remaining = iter(all_chunks)
    for chunk in islice(remaining, CHUNKS_ALONE):
        yield pair_filter.block(chunk)
    following = next(remaining, None)
    if following is None:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores == 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from map(pair_filter.block, chain([following], remaining))
        return
    # Forked processes share the filters, which may be of a class that cannot be pickled, and the scripts of
    # library users need no guard of their main module.
    pool = ProcessPoolExecutor(
        cores, multiprocessing.get_context("fork"), initializer=_start_worker, initargs=(pair_filter,)
    )
    try:
        pending: deque[Future[PairBlock]] = deque()
        for chunk in chain([following], remaining):
            pending.append(pool.submit(_block, chunk))
            if len(pending) > 2 * cores:  # bounds the memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_worker_filter: PairFilter | None = None


def _start_worker(pair_filter: PairFilter) -> None:
    """Initialise a process: it ignores Ctrl-C, which its parent reacts to, and ends with its parent."""
    global _worker_filter
    _worker_filter = pair_filter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _block(chunk: SourceChunk) -> PairBlock:
    assert _worker_filter is not None
    return _worker_filter.block(chunk)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return well_formed(text).encode()


def _lengths(texts: Sequence[bytes]) -> Int64[np.ndarray, " N"]:
    return np.fromiter(map(len, texts), np.int64, len(texts))
