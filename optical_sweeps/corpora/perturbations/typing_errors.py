"""Typing errors: a neighbouring key, or a letter that is omitted, doubled, or swapped with the next."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar

from optical_sweeps.corpora.perturbations.interface import Change, Perturbation
from optical_sweeps.corpora.perturbations.keyboards import neighbours
from optical_sweeps.corpora.perturbations.units import Span, clusters, is_letter

ERRORS = ("neighbour", "drop", "double", "swap")


class TypingErrors(Perturbation):
    """Mistype a share of `level` of the letters, with equal probabilities of the errors.

    Where an error is impossible (Han characters have no neighbouring key, the last letter of a word has no next
    letter, the first letter is never omitted), the next kind replaces it. A letter includes its marks.
    """

    name: ClassVar[str] = "typing"

    def changes(self, text: str, language: str, random: Random) -> Sequence[Change]:
        letters = [span for span in clusters(text) if is_letter(text[span[0]])]
        draws = [(random.random(), random.random(), random.random()) for _ in letters]
        changes: list[Change] = []
        for place, ((start, _), (threshold, kind, which)) in enumerate(zip(letters, draws, strict=True)):
            if changes and changes[-1].stop > start:  # it was swapped with the letter before it
                continue
            stop, new = _error(text, letters, place, language, int(kind * len(ERRORS)), which)
            changes.append(Change(threshold, start, stop, new))
        return changes


def _error(
    text: str, letters: Sequence[Span], place: int, language: str, kind: int, which: float
) -> tuple[int, str]:
    """The end of the letters that the error replaces, and their replacement."""
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
