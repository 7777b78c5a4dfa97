"""Letters and words of a text in any script, as spans of characters."""

import re
import unicodedata
from functools import cache

import regex

from optical_sweeps.corpora.scripts import letters_of

Span = tuple[int, int]

UNSPACED = (
    r"\p{Script=Hani}",
    r"\p{Script=Hira}\p{Script=Kana}ー\u3099\u309aｰﾞﾟ",
    *(rf"\p{{Script={code}}}" for code in ("Thai", "Laoo", "Khmr", "Mymr")),
)
"""Scripts without blanks between words; both kana count as one, with the marks that they share."""
PIECE = 2
"""Letters of such a script that count as a word, since finding the words needs a segmenter."""

_JOINER = "\u200d"
_JOINING = (_JOINER, "\u200c")


def clusters(text: str) -> list[Span]:
    """Each character together with its marks.

    >>> clusters("e\u0301a")
    [(0, 2), (2, 3)]
    """
    spans: list[Span] = []
    for place, letter in enumerate(text):
        if spans and (_continues(letter) or text[place - 1] == _JOINER):
            spans[-1] = (spans[-1][0], place + 1)
        else:
            spans.append((place, place + 1))
    return spans


def words(text: str) -> list[Span]:
    """Words without the punctuation around them; in scripts without blanks, pieces of two letters.

    >>> [text[a:b] for text in ("Mikä on, 2?",) for a, b in words(text)]
    ['Mikä', 'on', '2']
    >>> [text[a:b] for text in ("東京都の人口",) for a, b in words(text)]
    ['東京', '都', 'の', '人口']
    """
    spans: list[Span] = []
    for chunk in re.finditer(r"\S+", text):
        place = chunk.start()
        for run in _unspaced().finditer(text, *chunk.span()):
            spans += _core(text, place, run.start())
            spans += _pieces(text, *run.span())
            place = run.end()
        spans += _core(text, place, chunk.end())
    return spans


def case_folded(word: str) -> str:
    """A word as lexicons store it: case folded, with composed accents."""
    return unicodedata.normalize("NFC", word).casefold()


def is_letter(character: str) -> bool:
    """Whether Unicode classifies it as a letter."""
    return unicodedata.category(character)[0] == "L"


@cache
def in_script(character: str, scripts: tuple[str, ...]) -> bool:
    """Whether a letter or mark belongs to one of these scripts (ISO 15924)."""
    return letters_of(scripts).fullmatch(character) is not None


def _continues(character: str) -> bool:
    """Whether it is a mark, a joiner, or a vowel or final of a decomposed Hangul syllable."""
    return (
        unicodedata.category(character)[0] == "M"
        or character in _JOINING
        or "\u1160" <= character <= "\u11ff"
        or "\ud7b0" <= character <= "\ud7fb"
    )


def _core(text: str, start: int, stop: int) -> list[Span]:
    while start < stop and unicodedata.category(text[start])[0] not in "LN":
        start += 1
    while stop > start and unicodedata.category(text[stop - 1])[0] not in "LNM":
        stop -= 1
    return [(start, stop)] if stop > start else []


def _pieces(text: str, start: int, stop: int) -> list[Span]:
    while start < stop and _continues(text[start]):  # a mark on the character before
        start += 1
    spans = [(start + a, start + b) for a, b in clusters(text[start:stop])]
    return [
        (spans[place][0], spans[min(place + PIECE, len(spans)) - 1][1]) for place in range(0, len(spans), PIECE)
    ]


@cache
def _unspaced() -> "regex.Pattern[str]":
    """Runs of one script each."""
    letters = (rf"[[\p{{L}}\p{{M}}\p{{Nl}}]&&[{script}]]+" for script in UNSPACED)
    return regex.compile("(?V1)" + "|".join(letters))
