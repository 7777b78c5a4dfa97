"""Strings and document collections in memory-mapped files: tens of millions of passages in little memory.

A packed collection is a folder:
    ids.bin texts.bin           UTF-8, end to end
    ids.offsets texts.offsets   int64, little-endian: where each string begins, and the end
    ids.hashes ids.order        sorted 64-bit hashes of the ids, and whose each is
    pack.json                   counts, sizes, the content's fingerprint; written last
It is built beside its place and renamed, under a lock, so that of several processes one builds.
"""

import hashlib
import itertools
import json
import mmap
import os
import shutil
import uuid
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from filelock import FileLock
from jaxtyping import Int64, UInt64

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.errors import UserError

PACK_FORMAT = 1
STRETCH = 4096
"""Strings handled at a time."""
PARTS = ("ids.bin", "ids.offsets", "ids.hashes", "ids.order", "texts.bin", "texts.offsets")


class PackedStrings(Sequence[str]):
    """A sequence of strings in two files, `<stem>.bin` and `<stem>.offsets`; pickles as its path."""

    def __init__(self, stem: Path) -> None:
        self.stem = stem
        self.offsets: Int64[np.ndarray, " N+1"] = _mapped(f"{stem}.offsets", "<i8")
        with Path(f"{stem}.bin").open("rb") as file:
            empty = os.fstat(file.fileno()).st_size == 0  # which cannot be mapped
            self._bytes = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

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
                return self._stretch(start, max(start, stop))
            return [self[i] for i in range(start, stop, step)]
        number = range(len(self))[index]  # counts from the end, and raises IndexError
        start, end = self.offsets[number : number + 2].tolist()
        return self._bytes[start:end].decode()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), STRETCH):
            yield from self._stretch(start, min(start + STRETCH, len(self)))

    def _stretch(self, start: int, stop: int) -> list[str]:
        ends = self.offsets[start : stop + 1].tolist()
        return [self._bytes[a:b].decode() for a, b in itertools.pairwise(ends)]


class PackedIds(PackedStrings):
    """Distinct strings that can be looked up without reading them all."""

    def __init__(self, stem: Path) -> None:
        super().__init__(stem)
        self.hashes: UInt64[np.ndarray, " N"] = _mapped(f"{stem}.hashes", "<u8")
        self.order: Int64[np.ndarray, " N"] = _mapped(f"{stem}.order", "<i8")

    def are_plain(self) -> bool:
        """Whether each is one word of ASCII, told from the bytes; of others only reading them can say more."""
        if (self.offsets[1:] == self.offsets[:-1]).any():
            return False
        content = _mapped(f"{self.stem}.bin", "u1")
        parts = (content[start : start + (1 << 20)] for start in range(0, len(content), 1 << 20))
        return all(bool(((part > ord(" ")) & (part < 127)).all()) for part in parts)

    def positions(self, ids: Iterable[str]) -> dict[str, int]:
        """id -> its place, for those of `ids` that are here."""
        wanted = list(dict.fromkeys(ids))
        hashes = _hashes(wanted)
        places: dict[str, int] = {}
        for name, value, first in zip(
            wanted, hashes, np.searchsorted(self.hashes, hashes).tolist(), strict=True
        ):
            while first < len(self) and self.hashes[first] == value:
                place = int(self.order[first])
                if self[place] == name:
                    places[name] = place
                first += 1
        return places


def packed_documents(
    folder: Path,
    language: str,
    records: Callable[[], Iterable[tuple[str, str]]],
    facts: Mapping[str, Any],
    stamp: Callable[[], Sequence[int] | None] = lambda: None,
    progress: Callable[[int], None] = lambda done: None,
) -> Documents:
    """The documents of `folder`, packed there from `records` first unless that was done with the same facts.

    Args:
        records: gives (id, text) of every document, in collection order.
        facts: JSON-able; what the content depends on. Other facts, another pack.
        stamp: of the source, such as its size and time; a change packs again, None (it is gone) does not.
        progress: told the documents packed so far, now and then.

    Raises:
        UserError: an id stands twice, or the folder cannot be written; and whatever `records` raises.
    """
    facts = {"format": PACK_FORMAT, "language": language, **json.loads(json.dumps(facts))}
    pack = _sound_pack(folder, facts, stamp())
    if pack is None:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(f".{folder.name}.lock")):
                pack = _sound_pack(folder, facts, stamp()) or _build(folder, records, facts, stamp, progress)
        except OSError as error:
            raise UserError(
                f"{folder}: documents cannot be packed there ({error.strerror or error}); make room, or set "
                "the cache elsewhere"
            ) from None
    ids, texts = PackedIds(folder / "ids"), PackedStrings(folder / "texts")
    return Documents(language, ids, texts, known_fingerprint=pack["fingerprint"])


def _sound_pack(folder: Path, facts: Mapping[str, Any], stamp: Sequence[int] | None) -> dict[str, Any] | None:
    """What `pack.json` says, if it fits the facts and the stamp and every part has its size."""
    try:
        pack = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
        sizes = {part: (folder / part).stat().st_size for part in PARTS}
    except (OSError, ValueError):
        return None
    fits = (
        isinstance(pack, dict) and pack.get("facts") == facts and pack.get("sizes") == sizes and "stamp" in pack
    )
    return pack if fits and stamp in (None, pack["stamp"]) else None


def _build(
    folder: Path,
    records: Callable[[], Iterable[tuple[str, str]]],
    facts: Mapping[str, Any],
    stamp: Callable[[], Sequence[int] | None],
    progress: Callable[[int], None],
) -> dict[str, Any]:
    for left in folder.parent.glob(f".{folder.name}.tmp-*"):  # of builders that were killed: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.tmp-{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        with _Writer(temporary / "ids") as ids, _Writer(temporary / "texts") as texts:
            for number, (document, text) in enumerate(records()):
                ids.add(document)
                texts.add(text)
                if number % STRETCH == 0:
                    progress(number)
        _write_hashes(temporary / "ids")
        pack = {
            "facts": facts,
            "stamp": stamp(),  # now: what was not there before has been downloaded
            "documents": len(PackedStrings(temporary / "ids")),
            "sizes": {part: (temporary / part).stat().st_size for part in PARTS},
            "fingerprint": Documents(
                "", PackedStrings(temporary / "ids"), PackedStrings(temporary / "texts")
            ).fingerprint(),
        }
        (temporary / "pack.json").write_text(json.dumps(pack, ensure_ascii=False, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return pack


class _Writer:
    """Appends strings; offsets go to disk in stretches, so that memory does not grow."""

    def __init__(self, stem: Path) -> None:
        self.bytes = Path(f"{stem}.bin").open("wb")  # noqa: SIM115 - closed by __exit__
        self.offsets = Path(f"{stem}.offsets").open("wb")  # noqa: SIM115
        self.end = 0
        self.pending = array("q", [0])

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self.bytes.close()
        self.offsets.close()

    def add(self, text: str) -> None:
        # JSON may spell half of a surrogate pair, which no encoder and no tokenizer takes
        self.end += self.bytes.write(text.encode(errors="replace"))
        self.pending.append(self.end)
        if len(self.pending) == STRETCH:
            self._flush()

    def _flush(self) -> None:
        self.offsets.write(np.asarray(self.pending, dtype="<i8").tobytes())
        self.pending = array("q")


def _write_hashes(stem: Path) -> None:
    ids = PackedStrings(stem)
    hashes = np.concatenate(
        [np.zeros(0, "<u8"), *(_hashes(ids[start : start + STRETCH]) for start in range(0, len(ids), STRETCH))]
    )
    order = hashes.argsort(kind="stable")
    hashes = hashes[order]
    for place in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():  # a chance of 3e-5 among 33 million
        one, other = (ids[int(order[place + i])] for i in (0, 1))
        if one == other:
            raise UserError(f"document id {one!r} stands twice in the collection; give each its own id")
    hashes.astype("<u8").tofile(f"{stem}.hashes")
    order.astype("<i8").tofile(f"{stem}.order")


def _mapped(path: str, dtype: str) -> np.ndarray:
    """Numbers on disk; an empty file cannot be mapped."""
    return np.memmap(path, dtype=dtype, mode="r") if Path(path).stat().st_size else np.zeros(0, dtype=dtype)


def _hashes(ids: Sequence[str]) -> UInt64[np.ndarray, " N"]:
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype="<u8")
