"""Diacritics omitted, as people do who type without them."""

import unicodedata
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.units import clusters, in_script

WHOLE_LETTERS: Mapping[str, str] = MappingProxyType(
    {
        **dict(zip("łŁđĐøØħĦıŧŦ", "lLdDoOhHitT", strict=True)),  # Unicode does not count strokes as marks
        **dict(zip("ёЁѐЀѝЍ", "еЕеЕиИ", strict=True)),
        **dict.fromkeys("أإآٱ", "ا"),
    }
)
"""Letter with a diacritic that does not decompose -> the letter commonly written instead."""


class Diacritics(Perturbation):
    """Remove the diacritics from a share of `level` of the letters that have them.

    Latin and Greek: every mark. Cyrillic: stress, and the dots of ё; й and similar letters are separate
    letters. Arabic: vowel signs, and hamza and madda on alif. Hebrew: points. In other scripts, marks are
    vowels or voicing, which people do not omit.
    """

    name: ClassVar[str] = "diacritics"

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        changes = []
        for start, stop in clusters(text):
            bare = without_diacritics(text[start:stop])
            if bare and bare != text[start:stop]:
                changes.append(Change(random.random(), start, stop, bare))
        return changes


def without_diacritics(letter: str) -> str:
    """One letter without the marks that may be omitted.

    >>> [without_diacritics(letter) for letter in ("ä", "ё", "й", "が")]
    ['a', 'е', 'й', 'が']
    """
    composed = unicodedata.normalize("NFC", letter)
    base = WHOLE_LETTERS.get(composed[0], composed[0])
    if in_script(base, ("Latn", "Grek")):
        bare = "".join(part for part in unicodedata.normalize("NFD", base + composed[1:]) if not _mark(part))
        bare = "".join(WHOLE_LETTERS.get(part, part) for part in bare)
    elif in_script(base, ("Cyrl", "Arab", "Hebr")):
        bare = base + "".join(part for part in composed[1:] if not _mark(part))
    else:
        return letter
    return letter if bare == composed else unicodedata.normalize("NFC", bare)


def _mark(character: str) -> bool:
    return unicodedata.category(character) == "Mn"
