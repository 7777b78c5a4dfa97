"""Words written in Latin letters, as people do without a keyboard of their script."""

from collections.abc import Sequence
from importlib.util import find_spec
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.units import in_script, words
from optical_sweeps.errors import UserError


class Transliteration(Perturbation):
    """Romanise a share of `level` of the words that are not in Latin letters, letter by letter (anyascii).

    Han characters are read as in Mandarin, in Japanese too. Vowels that a script omits stay omitted.
    """

    name: ClassVar[str] = "transliteration"

    def check(self) -> None:
        if find_spec("anyascii") is None:
            raise UserError(
                "evaluation.perturbations: transliteration needs the package anyascii; "
                "install optical-sweeps[robustness]"
            )

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        from anyascii import anyascii

        changes = []
        for start, stop in words(text):
            word = text[start:stop]
            if any(letter.isalpha() and not in_script(letter, ("Latn",)) for letter in word):
                threshold, roman = random.random(), anyascii(word).strip()
                if not any(letter.isupper() for letter in word):
                    roman = roman.lower()  # syllables of Han characters are capitalised
                if roman and roman != word:
                    changes.append(Change(threshold, start, stop, roman))
        return changes
