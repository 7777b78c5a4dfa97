"""Recognises bitext whose columns are swapped, where English and the other language differ in script."""

from collections.abc import Sequence

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.scripts import script_share
from optical_sweeps.errors import UserError

SAMPLED_PAIRS, BLOCK = 1000, 100
LEAST_CHARACTERS = 100
"""Shorter samples say nothing."""


def refuse_swapped_columns(bitext: Bitext, source: str) -> None:
    """Refuse bitext whose English is mostly not in Latin script although its translations mostly are.

    Args:
        bitext: its first 1,000 pairs are read.
        source: the files, for the message.

    Raises:
        UserError: the columns seem swapped.
    """
    english = _latin_share(bitext.english)
    if english is None or english >= 0.5:
        return
    translations = _latin_share(bitext.translations)
    if translations is not None and translations > 0.5:
        raise UserError(
            f"{source}: the columns seem swapped: {english:.0%} of the letters of English are Latin, but "
            f"{translations:.0%} of those of {bitext.language}; put English first"
        )


def _latin_share(texts: Sequence[str]) -> float | None:
    """The share of Latin letters in a sample of texts; None if the sample is short."""
    characters, latin = 0, 0.0
    for start in range(0, min(SAMPLED_PAIRS, len(texts)), BLOCK):  # few texts at a time are in memory
        sample = " ".join(texts[start : start + BLOCK])
        characters += len(sample)
        latin += len(sample) * script_share(sample, ("Latn",))
    return latin / characters if characters >= LEAST_CHARACTERS else None
