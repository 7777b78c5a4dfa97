"""Words in another order."""

from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Perturbation
from optical_sweeps.corpora.perturbations.units import words


class WordOrder(Perturbation):
    """Apply a rounded share of `level` of the swaps of a shuffle; at level 1 all orders are equally likely.

    Punctuation and blanks keep their places.
    """

    name: ClassVar[str] = "word_order"

    def swaps(self, count: int, random: Random) -> list[tuple[int, int]]:
        """The first swaps of a shuffle of `count` words (Fisher and Yates) that this level applies."""
        shuffle = [(place, int(random.random() * (place + 1))) for place in range(count - 1, 0, -1)]
        return [swap for number, swap in enumerate(shuffle) if (number + 0.5) / (count - 1) < self.level]

    def __call__(self, text: str, language: str, random: Random) -> str:
        spans = words(text)
        order = list(range(len(spans)))
        for first, second in self.swaps(len(spans), random):
            order[first], order[second] = order[second], order[first]
        parts, copied = [], 0
        for (start, stop), source in zip(spans, order, strict=True):
            parts += [text[copied:start], text[slice(*spans[source])]]
            copied = stop
        return "".join([*parts, text[copied:]])
