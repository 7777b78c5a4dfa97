"""Typing errors: the key beside the right one, a letter left out, doubled, or changed with the next."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.keyboards import neighbours
from optical_sweeps.corpora.perturbations.units import Span, clusters, is_letter

ERRORS = ("neighbour", "drop", "double", "swap")


class TypingErrors(Perturbation):
    """A share of `level` of the letters is mistyped, each error as likely as the others.

    Where an error cannot be (no key beside, as for Han; no next letter of the word; the first letter of a word,
    which is never left out), the next kind takes its place. Letters are taken with their marks.
    """

    name: ClassVar[str] = "typing"

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        letters = [span for span in clusters(text) if is_letter(text[span[0]])]
        draws = [(random.random(), random.random(), random.random()) for _ in letters]
        found: list[Change] = []
        for place, ((start, _), (threshold, kind, which)) in enumerate(zip(letters, draws, strict=True)):
            if found and found[-1].stop > start:  # its letter before was changed with it
                continue
            stop, new = _error(text, letters, place, language, int(kind * len(ERRORS)), which)
            found.append(Change(threshold, start, stop, new))
        return found


def _error(
    text: str, letters: Sequence[Span], place: int, language: str, kind: int, which: float
) -> tuple[int, str]:
    """Where the letters that the error takes end, and what stands in their place."""
    start, stop = letters[place]
    letter = text[start:stop]
    for error in (*ERRORS[kind:], *ERRORS[:kind]):
        if error == "neighbour" and (near := neighbours(text[start], language)):
            return stop, near[int(which * len(near))] + letter[1:]
        if error == "drop" and place and letters[place - 1][1] == start:
            return stop, ""
        if error == "swap" and place + 1 < len(letters) and letters[place + 1][0] == stop:
            end = letters[place + 1][1]
            if text[stop:end] != letter:
                return end, text[stop:end] + letter
        if error == "double":
            return stop, letter[0] + letter
    raise AssertionError("every letter can be doubled")
