"""Truncated queries, as from people who stop typing."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.units import words


class Truncation(Perturbation):
    """Remove a rounded share of `level` of the words from the end, except the first. Nothing is random."""

    name: ClassVar[str] = "truncation"

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        ends = [stop for _, stop in words(text)]
        count = len(ends)
        cuts = [
            Change((count - place - 0.5) / count, ends[place - 1], ends[place], "") for place in range(1, count)
        ]
        if cuts and ends[-1] < len(text):  # the rest after the last word is removed with it
            cuts[-1] = Change(cuts[-1].threshold, cuts[-1].start, len(text), "")
        return cuts
