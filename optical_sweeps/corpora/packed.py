"""Strings and document collections in memory-mapped files: tens of millions of passages in little memory.

A folder of packed documents contains
    ids.bin texts.bin           the strings in UTF-8, concatenated
    ids.offsets texts.offsets   int64, little-endian: the start of each string, and the end of the last
    ids.hashes ids.order        sorted 64-bit hashes of the ids, and the position of each
    repeated.json               the number of documents that were skipped because their ids were repeated
    pack.json                   what the content depends on, sizes and checksums, the content's fingerprint
"""

import hashlib
import itertools
import json
import os
import shutil
import struct
import uuid
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import overload

import numpy as np
from filelock import FileLock
from jaxtyping import Int64, UInt64

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.pack_entries import checksums_of
from optical_sweeps.corpora.well_formed import well_formed
from optical_sweeps.errors import UserError
from optical_sweeps.limits import read_json

PACK_FORMAT = 3
BLOCK = 4096
"""Strings that are read or written at a time."""

OFFSET_PAIR = struct.Struct("<qq")
OFFSET_SIZE = 8

Stamp = list[int] | None
"""Sizes and times of source files; None if one of them is missing."""


class PackedStrings(Sequence[str]):
    """A sequence of strings in two files, `<stem>.bin` and `<stem>.offsets`; it is pickled as its path.

    Single strings are read from the files, not through the map of their memory: the system maps 64 kB around
    each byte, so that some thousand strings all over a large file would fill the memory with all of it.
    """

    def __init__(self, stem: Path) -> None:
        self.stem = stem
        self.offsets: Int64[np.ndarray, " N+1"] = _mapped(f"{stem}.offsets", "<i8")
        self._text_file, self._offset_file = (
            os.open(f"{stem}.{suffix}", os.O_RDONLY) for suffix in ("bin", "offsets")
        )
        for file in (self._text_file, self._offset_file):
            weakref.finalize(self, os.close, file)

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return type(self), (self.stem,)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self._block(start, max(start, stop))
            return [self[i] for i in range(start, stop, step)]
        number = range(len(self))[index]  # supports negative indices and raises IndexError
        start, end = OFFSET_PAIR.unpack(os.pread(self._offset_file, OFFSET_PAIR.size, number * OFFSET_SIZE))
        return os.pread(self._text_file, end - start, start).decode()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self._block(start, min(start + BLOCK, len(self)))

    def encoded(self, start: int, stop: int) -> list[bytes]:
        """The strings from `start` to `stop` in UTF-8."""
        if start >= stop:
            return []
        content = os.pread(self._offset_file, (stop - start + 1) * OFFSET_SIZE, start * OFFSET_SIZE)
        ends = np.frombuffer(content, "<i8")
        texts = os.pread(self._text_file, int(ends[-1] - ends[0]), int(ends[0]))
        return [texts[a:b] for a, b in itertools.pairwise((ends - ends[0]).tolist())]

    def _block(self, start: int, stop: int) -> list[str]:
        return [text.decode() for text in self.encoded(start, stop)]


class PackedIds(PackedStrings):
    """Distinct strings whose positions can be looked up without reading them all."""

    def __init__(self, stem: Path) -> None:
        super().__init__(stem)
        self.hashes: UInt64[np.ndarray, " N"] = _mapped(f"{stem}.hashes", "<u8")
        self.order: Int64[np.ndarray, " N"] = _mapped(f"{stem}.order", "<i8")

    def are_plain(self) -> bool:
        """Whether each id is one word of ASCII, read from the bytes; if not, each id must be checked."""
        if (self.offsets[1:] == self.offsets[:-1]).any():
            return False
        content = _mapped(f"{self.stem}.bin", "u1")
        parts = (content[start : start + (1 << 20)] for start in range(0, len(content), 1 << 20))
        return all(bool(((part > ord(" ")) & (part < 127)).all()) for part in parts)

    def positions(self, ids: Iterable[str]) -> dict[str, int]:
        """id -> position, for those of `ids` that occur."""
        wanted = list(dict.fromkeys(ids))
        hashes = _hashes(wanted)
        positions: dict[str, int] = {}
        for name, value, first in zip(
            wanted, hashes, np.searchsorted(self.hashes, hashes).tolist(), strict=True
        ):
            while first < len(self) and self.hashes[first] == value:
                position = int(self.order[first])
                if self[position] == name:
                    positions[name] = position
                first += 1
        return positions


def packed_documents(
    folder: Path,
    language: str,
    records: Callable[[], Iterable[tuple[str, str]]],
    facts: Mapping[str, object],
    stamp: Callable[[], Stamp] = lambda: None,
    keep_first: bool = False,
) -> Documents:
    """The documents of `folder`, which are packed there from `records` if they are missing or out of date.

    Args:
        records: returns (id, text) of every document, in collection order.
        facts: as in `packed_folder`.
        stamp: as in `packed_folder`.
        keep_first: skip and count documents whose id is repeated, at 60 bytes of memory for each document.

    Raises:
        UserError: no document has a text, an id is repeated, or the folder cannot be written; also what
            `records` raises.
    """

    def build(temporary: Path) -> str:
        with closing(_Writer(temporary / "ids")) as ids, closing(_Writer(temporary / "texts")) as texts:
            seen: set[bytes] = set()
            repeated = 0
            for document, text in records():
                if keep_first and not _is_new(document, seen):
                    repeated += 1
                    continue
                ids.add(document)
                texts.add(text)
        if len(ids.offsets) > 1 and not texts.offsets[-1]:
            raise UserError(f"{folder.name}: no document has a text; check document_columns")
        (temporary / "repeated.json").write_text(json.dumps(repeated), encoding="utf-8")
        _write_hashes(temporary / "ids")
        strings = PackedStrings(temporary / "ids"), PackedStrings(temporary / "texts")
        return Documents("", *strings).fingerprint()

    fingerprint = packed_folder(folder, {**facts, "language": language}, stamp, build)
    ids, texts = PackedIds(folder / "ids"), PackedStrings(folder / "texts")
    repeated = int(read_json(folder / "repeated.json"))
    return Documents(language, ids, texts, known_fingerprint=fingerprint, repeated=repeated)


def packed_folder(
    folder: Path, facts: Mapping[str, object], stamp: Callable[[], Stamp], build: Callable[[Path], str]
) -> str:
    """The fingerprint of the content of `folder`, which is built if it is missing or out of date.

    The folder is built beside its place and renamed, under a lock: one of several processes builds it.

    Args:
        facts: what the content depends on, as JSON; if they change, the folder is built again.
        stamp: returns the stamp of the sources; a changed one builds again, None (a source is gone) does not.
        build: fills an empty folder and returns the content's fingerprint.

    Raises:
        UserError: the folder cannot be written; also what `build` raises.
    """
    facts = {"format": PACK_FORMAT, **json.loads(json.dumps(facts))}
    fingerprint = _stored_fingerprint(folder, facts, stamp())
    if fingerprint is not None:
        return fingerprint
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            return _stored_fingerprint(folder, facts, stamp()) or _build(folder, facts, stamp, build)
    except OSError as error:
        raise UserError(
            f"{folder}: texts cannot be packed there ({error.strerror or error}); free some space, or set the "
            "cache to another folder"
        ) from None


def stamp_of(files: Iterable[Path]) -> Stamp:
    """Sizes and times of some files; None if one of them is missing."""
    try:
        return [number for file in files for number in (file.stat().st_size, file.stat().st_mtime_ns)]
    except OSError:
        return None


def _stored_fingerprint(folder: Path, facts: Mapping[str, object], stamp: Stamp) -> str | None:
    """The fingerprint in `pack.json`, if the facts, the stamp and the size of every file agree with it."""
    try:
        pack = read_json(folder / "pack.json")
        sizes = {name: (folder / name).stat().st_size for name in pack["sizes"]}
        is_current = pack["facts"] == facts and pack["sizes"] == sizes and stamp in (None, pack["stamp"])
        return str(pack["fingerprint"]) if is_current else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _build(
    folder: Path, facts: Mapping[str, object], stamp: Callable[[], Stamp], build: Callable[[Path], str]
) -> str:
    for remains in folder.parent.glob(f".{folder.name}.tmp-*"):  # of killed processes: this one has the lock
        shutil.rmtree(remains, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        fingerprint = build(temporary)
        pack = {
            "facts": facts,
            "stamp": stamp(),  # taken now, since the build may have downloaded the source
            "sizes": {path.name: path.stat().st_size for path in sorted(temporary.iterdir())},
            "blake2b": checksums_of(temporary),
            "fingerprint": fingerprint,
        }
        (temporary / "pack.json").write_text(json.dumps(pack, ensure_ascii=False, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return fingerprint


class _Writer:
    """Appends strings to a file; the offsets, 8 bytes for each string, are written at the end."""

    def __init__(self, stem: Path) -> None:
        self.stem = stem
        self.bytes = Path(f"{stem}.bin").open("wb")  # noqa: SIM115 - closed by `close`
        self.offsets = array("q", [0])

    def add(self, text: str) -> None:
        self.offsets.append(self.offsets[-1] + self.bytes.write(well_formed(text).encode()))

    def close(self) -> None:
        self.bytes.close()
        np.asarray(self.offsets, dtype="<i8").tofile(f"{self.stem}.offsets")


def _write_hashes(stem: Path) -> None:
    ids = PackedStrings(stem)
    blocks = (_hashes(ids[start : start + BLOCK]) for start in range(0, len(ids), BLOCK))
    hashes = np.concatenate([np.zeros(0, "<u8"), *blocks])
    order = hashes.argsort(kind="stable")
    hashes = hashes[order]
    for place in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():  # a chance of 3e-5 among 33 million
        first, second = (ids[int(order[place + i])] for i in (0, 1))
        if first == second:
            raise UserError(
                f"document id {first!r} is repeated in the collection; give each document a distinct id, or "
                "set on_duplicate to first"
            )
    hashes.astype("<u8").tofile(f"{stem}.hashes")
    order.astype("<i8").tofile(f"{stem}.order")


def _is_new(name: str, seen: set[bytes]) -> bool:
    count = len(seen)
    seen.add(hashlib.blake2b(well_formed(name).encode(), digest_size=16).digest())
    return len(seen) > count


def _mapped(path: str, dtype: str) -> np.ndarray:
    """An array on disk; an empty file cannot be mapped."""
    return np.memmap(path, dtype=dtype, mode="r") if Path(path).stat().st_size else np.zeros(0, dtype=dtype)


def _hashes(ids: Sequence[str]) -> UInt64[np.ndarray, " N"]:
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype="<u8")
