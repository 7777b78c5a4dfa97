"""Bitext from files of lines: TSV (English, translation), two parallel files (Moses), JSON Lines.

Readers yield pairs of (English, translation), and a fault for each place that gives none.
"""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.readers.json_lines import objects_or_faults, text_field
from optical_sweeps.corpora.readers.lines import Fault, columns_or_fault, lines_or_faults
from optical_sweeps.errors import UserError

Pair = tuple[str, str]
"""An English text and its translation."""


def read_bitext_tsv(path: Path, language: str) -> Bitext:
    """Pairs from lines of `English <tab> translation`.

    Raises:
        UserError: no two filled columns in a line, or an unreadable file.
    """
    return strict_bitext(language, tsv_pairs(path, language))


def read_bitext_moses(english_path: Path, path: Path, language: str) -> Bitext:
    """Pairs from two files whose lines correspond.

    Raises:
        UserError: different numbers of lines, an empty line, or an unreadable file.
    """
    return strict_bitext(language, moses_pairs(english_path, path, language))


def strict_bitext(language: str, pairs: Iterable[Pair | Fault]) -> Bitext:
    """All pairs as a bitext.

    Raises:
        UserError: at the first fault.
    """
    english: list[str] = []
    translations: list[str] = []
    for pair in pairs:
        if isinstance(pair, Fault):
            raise UserError(pair.message)
        english.append(pair[0])
        translations.append(pair[1])
    return Bitext(language, tuple(english), tuple(translations))


def tsv_pairs(path: Path, language: str) -> Iterator[Pair | Fault]:
    """Pairs from lines of `English <tab> translation`."""
    names = ("English", language)
    for number, line in lines_or_faults(path):
        fields = line if isinstance(line, Fault) else columns_or_fault(path, number, line, names)
        yield fields if isinstance(fields, Fault) else (fields[0], fields[1])


def moses_pairs(english_path: Path, path: Path, language: str) -> Iterator[Pair | Fault]:
    """Pairs from two files whose lines correspond; lines that one file alone has are one fault, the last."""
    sides = lines_or_faults(english_path), lines_or_faults(path)
    for number, (one, other) in enumerate(zip_longest(*sides), start=1):
        if one is None or other is None:
            shorter, longer = (english_path, path) if one is None else (path, english_path)
            yield Fault(
                "line_counts",
                f"{shorter}:{number}: no such line, but {longer} has it; line k of one file must translate "
                "line k of the other",
            )
            return
        english = _column(english_path, number, one[1], "English")
        translation = _column(path, number, other[1], language)
        if isinstance(english, Fault):
            yield english
        elif isinstance(translation, Fault):
            yield translation
        else:
            yield english, translation


def json_lines_pairs(path: Path, english_field: str, translation_field: str) -> Iterator[Pair | Fault]:
    """Pairs from one JSON object a line; fields by dotted names, such as `translation.en`."""
    for number, value in objects_or_faults(path):
        yield (
            value
            if isinstance(value, Fault)
            else pair_of(path, number, value, english_field, translation_field)
        )


def pair_of(path: Path, number: int, value: object, english_field: str, translation_field: str) -> Pair | Fault:
    """The pair of one object."""
    texts = []
    for name in (english_field, translation_field):
        text = text_field(path, number, value, name)  # type: ignore[arg-type]
        if isinstance(text, Fault):
            return text
        if not text:
            return Fault("blank", f"{path}:{number}: the field {name!r} is empty; fill it or delete the line")
        texts.append(text)
    return texts[0], texts[1]


def _column(path: Path, number: int, line: str | Fault, name: str) -> str | Fault:
    fields = line if isinstance(line, Fault) else columns_or_fault(path, number, line, (name,))
    return fields if isinstance(fields, Fault) else fields[0]
