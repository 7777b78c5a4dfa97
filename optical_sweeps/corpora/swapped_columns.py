"""Recognises bitext whose columns are swapped, where English and the other language differ in script."""

import itertools
from collections.abc import Iterable

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.scripts import script_share
from optical_sweeps.errors import UserError

SAMPLED_PAIRS = 1000
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


def _latin_share(texts: Iterable[str]) -> float | None:
    """The share of Latin letters in a sample of texts; None if the sample is short."""
    sample = " ".join(itertools.islice(texts, SAMPLED_PAIRS))
    return script_share(sample, ("Latn",)) if len(sample) >= LEAST_CHARACTERS else None
