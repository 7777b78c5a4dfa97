"""Words written in Latin letters, as by those without a keyboard of their script."""

from collections.abc import Sequence
from importlib.util import find_spec
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.units import in_script, words
from optical_sweeps.errors import UserError


class Transliteration(Perturbation):
    """A share of `level` of the words that are not in Latin letters is romanised, letter by letter (anyascii).

    Han is read as in Mandarin, also in Japanese; vowels that a script leaves out stay out.
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

        found = []
        for start, stop in words(text):
            word = text[start:stop]
            if any(letter.isalpha() and not in_script(letter, ("latin",)) for letter in word):
                threshold, roman = random.random(), anyascii(word).strip()
                if not any(letter.isupper() for letter in word):
                    roman = roman.lower()  # syllables of Han come with capitals
                if roman and roman != word:
                    found.append(Change(threshold, start, stop, roman))
        return found
