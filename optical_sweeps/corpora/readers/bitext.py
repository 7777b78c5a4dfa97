"""Bitext from files: one TSV (English, translation), or two parallel files (Moses)."""

from itertools import zip_longest
from pathlib import Path

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.readers.lines import columns, read_lines
from optical_sweeps.errors import UserError


def read_bitext_tsv(path: Path, language: str) -> Bitext:
    """Pairs from lines of `English <tab> translation`.

    Raises:
        UserError: no two filled columns in a line, or an unreadable file.
    """
    names = ("English", language)
    pairs = [columns(path, number, line, names) for number, line in read_lines(path)]
    return Bitext(language, tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def read_bitext_moses(english_path: Path, path: Path, language: str) -> Bitext:
    """Pairs from two files whose lines correspond.

    Raises:
        UserError: different numbers of lines, an empty line, or an unreadable file.
    """
    english: list[str] = []
    translations: list[str] = []
    for number, (one, other) in enumerate(zip_longest(read_lines(english_path), read_lines(path)), start=1):
        if one is None or other is None:
            shorter, longer = (english_path, path) if one is None else (path, english_path)
            raise UserError(
                f"{shorter}:{number}: no such line, but {longer} has it; line k of one file must translate "
                "line k of the other"
            )
        english += columns(english_path, number, one[1], ("English",))
        translations += columns(path, number, other[1], (language,))
    return Bitext(language, tuple(english), tuple(translations))
