"""Words in another order."""

from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Perturbation
from optical_sweeps.corpora.perturbations.units import words


class WordOrder(Perturbation):
    """The first swaps of a shuffle, a share of `level` of them, rounded: at 1 every order is as likely.

    Punctuation and blanks stay where they are.
    """

    name: ClassVar[str] = "word_order"

    def swaps(self, count: int, random: Random) -> list[tuple[int, int]]:
        """The swaps that this level makes of a shuffle of `count` words (Fisher and Yates), in order."""
        all_of_them = [(place, int(random.random() * (place + 1))) for place in range(count - 1, 0, -1)]
        return [swap for number, swap in enumerate(all_of_them) if (number + 0.5) / (count - 1) < self.level]

    def __call__(self, text: str, language: str, random: Random) -> str:
        spans = words(text)
        order = list(range(len(spans)))
        for first, second in self.swaps(len(spans), random):
            order[first], order[second] = order[second], order[first]
        parts, place = [], 0
        for (start, stop), source in zip(spans, order, strict=True):
            parts += [text[place:start], text[slice(*spans[source])]]
            place = stop
        return "".join([*parts, text[place:]])
