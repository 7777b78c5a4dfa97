"""Bitext from text files: TSV (English, translation), two parallel files (Moses), JSON Lines.

Readers yield pairs of (English, translation), and a fault for each line that cannot be used.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from optical_sweeps.corpora.readers.json_lines import JsonObject, objects_or_faults, text_field
from optical_sweeps.corpora.readers.lines import Fault, columns, lines_or_faults

Pair = tuple[str, str]
"""An English text and its translation."""


def tsv_pairs(path: Path, language: str) -> Iterator[Pair | Fault]:
    """Pairs from lines of `English <tab> translation`."""
    names = ("English", language)
    for number, line in lines_or_faults(path):
        fields = line if isinstance(line, Fault) else columns(path, number, line, names)
        yield fields if isinstance(fields, Fault) else (fields[0], fields[1])


def moses_pairs(english_path: Path, path: Path, language: str) -> Iterator[Pair | Fault]:
    """Pairs from two files whose lines correspond; a missing line in one of them is the last fault."""
    sides = lines_or_faults(english_path), lines_or_faults(path)
    for number, (english_line, translated_line) in enumerate(zip_longest(*sides), start=1):
        if english_line is None or translated_line is None:
            shorter, longer = (english_path, path) if english_line is None else (path, english_path)
            yield Fault(
                "line_counts",
                f"{shorter}:{number}: no such line, but {longer} has it; line k of one file must translate "
                "line k of the other",
            )
            return
        english = _line(english_path, number, english_line[1], "English")
        translation = _line(path, number, translated_line[1], language)
        yield _pair(english, translation)


def json_lines_pairs(path: Path, english_field: str, translation_field: str) -> Iterator[Pair | Fault]:
    """Pairs from JSON objects, one on each line; fields are dotted names such as `translation.en`."""
    for number, value in objects_or_faults(path):
        if isinstance(value, Fault):
            yield value
        else:
            yield pair_of(path, number, value, english_field, translation_field)


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


def _line(path: Path, number: int, line: str | Fault, name: str) -> str | Fault:
    """A whole line; a tab in it is white space, since these files have no columns."""
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
