"""Bitext in memory-mapped files: read, filtered and counted once, in memory that does not depend on its size.

A folder of packed bitext contains
    english.bin translations.bin           the texts in UTF-8, concatenated
    english.offsets translations.offsets   int64, little-endian: the start of each text, and the end of the last
    report.json                            how many pairs were read, dropped and kept
    pack.json                              as in `packed`; the fingerprint is a digest of the files above

Shape legend: N pairs that pass the tests of single pairs, n of them in a block.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt64

from optical_sweeps.console import counter
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.filters import LANGUAGE_ID, BitextReport
from optical_sweeps.corpora.packed import PackedStrings, Stamp, packed_folder
from optical_sweeps.corpora.pair_blocks import PairFilter, SourceChunk, filtered_blocks
from optical_sweeps.errors import UserError
from optical_sweeps.limits import read_json

RECIPE = 1
"""Raised when the same sources and filters give other pairs than before."""
SIDES = ("english", "translations")
ROWS = 1 << 16
"""Rows copied at a time."""
SORTED_AT_ONCE = 1 << 22
"""Hashes that are sorted at a time: 130 MB."""


CACHE = Path("artifacts/bitext")
"""Folder of packed bitext, unless a config names another one."""


def default_cache() -> Path:
    """`CACHE` at the time of the call."""
    return CACHE


@dataclass(frozen=True)
class PackedSize:
    """Bytes of packed bitext: of the English texts alone, and of all its files."""

    english: int
    total: int


def packed_size(bitext: Bitext) -> PackedSize | None:
    """The bytes of packed bitext, from the sizes of its files; None if the texts are in memory."""
    english, translations = bitext.english, bitext.translations
    if not isinstance(english, PackedStrings) or not isinstance(translations, PackedStrings):
        return None
    files = [Path(f"{side.stem}.{kind}") for side in (english, translations) for kind in ("bin", "offsets")]
    sizes = [file.stat().st_size for file in files]
    return PackedSize(sizes[0], sum(sizes))


@dataclass(frozen=True)
class PairSelection:
    """Which pairs of a language are packed: the chunks of its sources, and what is done with them.

    Args:
        chunks: returns the raw records of all sources.
        skip_key: the config key that decides about faults, for messages.
        skips: whether faults are counted instead of refused.
    """

    language: str
    chunks: Callable[[], Iterable[SourceChunk]]
    pair_filter: PairFilter
    skip_key: str
    skips: bool


def packed_bitext(
    cache: Path, selection: PairSelection, facts: Mapping[str, object], stamp: Callable[[], Stamp]
) -> tuple[Bitext, BitextReport]:
    """The bitext of one language in a subfolder of `cache`, packed there if it is missing or out of date.

    Args:
        facts: what the pairs depend on besides the content of their sources, as JSON.
        stamp: as in `packed.packed_folder`.

    Raises:
        UserError: a source cannot be read, has a fault, or the folder cannot be written.
        NoPairs: no pair remains.
    """
    facts = {"recipe": RECIPE, "language": selection.language, **facts}
    name = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()
    folder = cache / f"{selection.language}-{name}"
    fingerprint = packed_folder(folder, facts, stamp, lambda temporary: _pack(temporary, selection))
    english, translations = (PackedStrings(folder / side) for side in SIDES)
    values = read_json(folder / "report.json")
    bitext = Bitext(selection.language, english, translations, known_fingerprint=fingerprint)
    return bitext, BitextReport.from_dict(selection.language, values)


class NoPairs(Exception):
    """No pair remains; the report counts why."""

    def __init__(self, report: BitextReport) -> None:
        super().__init__(report.line())
        self.report = report


def _pack(folder: Path, selection: PairSelection) -> str:
    """Fill a folder with a language's pairs; returns their fingerprint."""
    report = BitextReport(selection.language)
    _write_candidates(folder, selection, report)
    copies = np.fromfile(folder / "copies", "<i4")
    duplicates = _repeated(folder / "hashes", len(copies))
    other_language = (copies < 0) & ~duplicates
    for name, dropped in (("duplicate", duplicates), (LANGUAGE_ID, other_language)):
        if number := int(dropped.sum()):
            report.dropped[name] = number
        copies[dropped] = 0
    report.kept = int(copies.sum())
    if not report.kept:
        raise NoPairs(report)
    digests = [_select(folder / side, copies) for side in SIDES]
    for name in ("hashes", "copies"):
        (folder / name).unlink()
    (folder / "report.json").write_text(json.dumps(report.as_dict(), ensure_ascii=False), encoding="utf-8")
    return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()


def _write_candidates(folder: Path, selection: PairSelection, report: BitextReport) -> None:
    """Write every pair that may be kept, with its hash and the number of its copies (-1: another language)."""
    ends = [0, 0]
    with ExitStack() as stack:

        def opened(name: str) -> BinaryIO:
            return stack.enter_context((folder / name).open("wb"))

        hashes, copies = opened("hashes"), opened("copies")
        texts, offsets = ([opened(f"{side}.{kind}") for side in SIDES] for kind in ("bin", "offsets"))
        for file in offsets:
            np.zeros(1, "<i8").tofile(file)
        count = stack.enter_context(counter(f"packing {selection.language}"))
        for block in filtered_blocks(selection.chunks(), selection.pair_filter):
            if block.first_fault is not None and not selection.skips:
                raise UserError(f"{block.first_fault}; or set {selection.skip_key} to skip")
            report.read[block.name] += block.read
            report.faults += block.faults
            report.dropped += block.dropped
            for side, (text, lengths) in enumerate(zip(block.sides, block.lengths, strict=True)):
                texts[side].write(text)
                (ends[side] + np.cumsum(lengths)).astype("<i8").tofile(offsets[side])
                ends[side] += len(text)
            block.hashes.tofile(hashes)
            np.where(block.other_language, -1, block.copies).astype("<i4").tofile(copies)
            count(sum(report.read.values()))


def _repeated(file: Path, size: int) -> Bool[np.ndarray, " N"]:
    """Which of the 64-bit hashes in a file occurred before; a part of their range is sorted at a time."""
    repeated = np.zeros(size, bool)
    if not file.stat().st_size:
        return repeated
    hashes = np.memmap(file, "<u8", "r")
    bits = max(0, math.ceil(math.log2(size / SORTED_AT_ONCE)))
    for part in range(1 << bits):
        rows = np.concatenate(
            [_rows_in(hashes[at : at + ROWS], part, bits) + at for at in range(0, size, ROWS)]
        )
        values = hashes[rows]
        order = values.argsort(kind="stable")
        equal = values[order[1:]] == values[order[:-1]]
        repeated[rows[order[1:][equal]]] = True
    return repeated


def _rows_in(hashes: UInt64[np.ndarray, " n"], part: int, bits: int) -> Int64[np.ndarray, " k"]:
    """Places of the hashes that begin with these bits."""
    return np.flatnonzero((hashes >> np.uint64(64 - bits)) == part) if bits else np.arange(len(hashes))


def _select(stem: Path, copies: Int32[np.ndarray, " N"]) -> str:
    """Keep so many copies of each text of a side; returns a digest of its files."""
    files = tuple(stem.with_suffix(suffix) for suffix in (".bin", ".offsets"))
    if (copies != 1).any():
        selected = tuple(file.with_suffix(f"{file.suffix}.selected") for file in files)
        _copy_rows(PackedStrings(stem), copies, *selected)
        for file, chosen in zip(files, selected, strict=True):
            chosen.replace(file)
    return "".join(map(_digest, files))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _copy_rows(strings: PackedStrings, copies: Int32[np.ndarray, " N"], texts: Path, offsets: Path) -> None:
    end = 0
    with texts.open("wb") as text_file, offsets.open("wb") as offset_file:
        np.zeros(1, "<i8").tofile(offset_file)
        for start in range(0, len(copies), ROWS):
            part = copies[start : start + ROWS]
            parts = strings.encoded(start, start + len(part))
            chosen = [parts[row] for row in np.repeat(np.arange(len(part)), part).tolist()]
            text_file.write(b"".join(chosen))
            ends = end + np.cumsum(np.fromiter(map(len, chosen), np.int64, len(chosen)))
            ends.astype("<i8").tofile(offset_file)
            end += sum(map(len, chosen))
