"""Words replaced by their English translations, as people do who mix two languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.units import case_folded, words
from optical_sweeps.corpora.words import set_apart


@dataclass(frozen=True)
class CodeSwitching(Perturbation):
    """Replace a share of `level` of the words that are in the lexicon.

    Args:
        lexicon: word, as `case_folded` returns it -> English.
    """

    lexicon: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: ClassVar[str] = "code_switching"
    needs_lexicon: ClassVar[bool] = True

    def __str__(self) -> str:
        return Perturbation.__str__(self)

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        changes = []
        for start, stop in words(text):
            word = case_folded(text[start:stop])
            english = self.lexicon.get(word)
            if english is not None and case_folded(english) != word:
                changes.append(Change(random.random(), start, stop, set_apart(english, text, start, stop)))
        return changes
