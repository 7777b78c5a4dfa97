"""Queries cut short, as by those who stop typing."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.units import words


class Truncation(Perturbation):
    """A share of `level` of the words, rounded, is missing from the end; the first stays. Nothing is drawn."""

    name: ClassVar[str] = "truncation"

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        found = words(text)
        ends = [stop for _, stop in found]
        count = len(found)
        cuts = [
            Change((count - place - 0.5) / count, ends[place - 1], ends[place], "") for place in range(1, count)
        ]
        if cuts and ends[-1] < len(text):  # what follows the last word goes with it
            cuts[-1] = Change(cuts[-1].threshold, cuts[-1].start, len(text), "")
        return cuts
