"""Bitext from text files: TSV (English, translation), two parallel files (Moses), JSON Lines.

Readers give pairs of (English, translation), and a fault for each line that cannot be used. Reading the raw
records and parsing them are separate, so that several processes can parse the records of one file.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from optical_sweeps.corpora.readers.json_lines import JsonObject, parsed, text_field
from optical_sweeps.corpora.readers.lines import Fault, columns, decoded, raw_lines

Pair = tuple[str, str]
"""An English text and its translation."""
Parse = Callable[[int, Any], "Pair | Fault"]
"""Makes a pair of a record and its number, from 1; it can be pickled."""


@dataclass(frozen=True)
class RawPairs:
    """The pairs of a source: raw records, which are cheap to read, and how each is parsed."""

    records: Iterable[object]
    parse: Parse

    def __iter__(self) -> Iterator[Pair | Fault]:
        return (self.parse(number, record) for number, record in enumerate(self.records, start=1))


def parsed_already(number: int, record: Pair | Fault) -> Pair | Fault:
    """The `parse` of a source whose reader gives pairs."""
    return record


def tsv_pairs(path: Path, language: str) -> RawPairs:
    """Pairs from lines of `English <tab> translation`."""
    return RawPairs(raw_lines(path), partial(_tsv_pair, path, ("English", language)))


def moses_pairs(english_path: Path, path: Path, language: str) -> RawPairs:
    """Pairs from two files whose lines correspond; a missing line in one of them is the last fault."""
    return RawPairs(_both_lines(english_path, path), partial(_moses_pair, english_path, path, language))


def json_lines_pairs(path: Path, english_field: str, translation_field: str) -> RawPairs:
    """Pairs from JSON objects, one on each line; fields are dotted names such as `translation.en`."""
    return RawPairs(raw_lines(path), partial(_json_pair, path, english_field, translation_field))


def _tsv_pair(path: Path, names: tuple[str, str], number: int, record: bytes) -> Pair | Fault:
    line = decoded(path, number, record)
    fields = line if isinstance(line, Fault) else columns(path, number, line, names)
    return fields if isinstance(fields, Fault) else (fields[0], fields[1])


def _both_lines(english_path: Path, path: Path) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Corresponding lines, up to the end of the shorter file and its missing line."""
    for lines in zip_longest(raw_lines(english_path), raw_lines(path)):
        yield lines
        if None in lines:
            return


def _moses_pair(
    english_path: Path, path: Path, language: str, number: int, lines: tuple[bytes | None, bytes | None]
) -> Pair | Fault:
    english, translation = lines
    if english is None or translation is None:
        shorter, longer = (english_path, path) if english is None else (path, english_path)
        return Fault(
            "line_counts",
            f"{shorter}:{number}: no such line, but {longer} has it; line k of one file must translate "
            "line k of the other",
        )
    return _pair(_line(english_path, number, english, "English"), _line(path, number, translation, language))


def _json_pair(
    path: Path, english_field: str, translation_field: str, number: int, record: bytes
) -> Pair | Fault:
    value = parsed(path, number, decoded(path, number, record))
    return value if isinstance(value, Fault) else pair_of(path, number, value, english_field, translation_field)


def pair_of(
    path: Path, number: int, value: JsonObject, english_field: str, translation_field: str
) -> Pair | Fault:
    """The pair of one object."""
    english, translation = (
        Fault("blank", f"{path}:{number}: the field {name!r} is empty; fill it or delete the line")
        if (text := text_field(path, number, value, name)) == ""
        else text
        for name in (english_field, translation_field)
    )
    return _pair(english, translation)


def _line(path: Path, number: int, record: bytes, name: str) -> str | Fault:
    """A whole line; a tab in it is white space, since these files have no columns."""
    line = decoded(path, number, record)
    if isinstance(line, Fault):
        return line
    text = line.replace("\t", " ").strip()
    return text or Fault(
        "blank", f"{path}:{number}: the line of {name} is empty; fill it or delete it in both files"
    )


def _pair(english: str | Fault, translation: str | Fault) -> Pair | Fault:
    if isinstance(english, Fault):
        return english
    return translation if isinstance(translation, Fault) else (english, translation)
