"""Words for lexical search and dictionaries: one rule for every language.

A word is a run of letters, digits and their combining marks, in lower case; scripts written without blanks are
divided into pairs of characters. There are no stop words and no stemmer.
"""

import re
import unicodedata
from itertools import groupby, pairwise

# Thai, Lao, Burmese, Khmer, kana and Han; half-width kana, and Han beyond the Basic Multilingual Plane
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    r"\uff66-\uff9f\U00020000-\U0003ffff"
)


def _marks() -> str:
    """Combining marks as a character class; Python's \\w lacks them and would split Hindi words at vowels."""
    unspaced = re.compile(f"[{_UNSPACED}]")
    points = [
        point
        for point in range(0x300, 0x10000)
        if unicodedata.category(chr(point))[0] == "M" and not unspaced.match(chr(point))
    ]
    ranges = []
    for _, run in groupby(enumerate(points), key=lambda item: item[1] - item[0]):
        members = [point for _, point in run]
        ranges.append(f"\\u{members[0]:04x}-\\u{members[-1]:04x}")
    return "".join(ranges)


_LETTER = rf"[^\W{_UNSPACED}]"
_WORD = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|{_LETTER}(?:{_LETTER}|[{_marks()}])*")


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """Each word with its start and end in `text`, whose accents may be composed or decomposed.

    >>> word_spans("Red: \u6771\u4eac\u90fd")
    [('red', 0, 3), ('\u6771\u4eac', 5, 7), ('\u4eac\u90fd', 6, 8)]
    """
    composed = unicodedata.normalize("NFC", text)
    spans = _composed_spans(composed)
    if composed == text:
        return spans
    origins = _origins(text)
    return [(word, origins[start][0], origins[end - 1][1]) for word, start, end in spans]


def _composed_spans(text: str) -> list[tuple[str, int, int]]:
    spans = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        if match["unspaced"] and end - start > 1:
            spans += [(text[at : at + 2], at, at + 2) for at in range(start, end - 1)]
        else:
            spans.append((folded(match[0]), start, end))
    return spans


def _origins(text: str) -> list[tuple[int, int]]:
    """For each character of the composed text, its span in `text`."""
    starts = [at for at, letter in enumerate(text) if at == 0 or not _may_compose(letter)]
    origins = []
    for start, end in pairwise([*starts, len(text)]):
        composed = unicodedata.normalize("NFC", text[start:end])
        if composed == text[start:end]:
            origins += [(at, at + 1) for at in range(start, end)]
        else:
            origins += [(start, end)] * len(composed)
    return origins


def _may_compose(letter: str) -> bool:
    """Whether it may compose with the letter before it: a mark, or a vowel or final of a Hangul syllable."""
    return unicodedata.category(letter)[0] == "M" or "\u1160" <= letter <= "\u11ff"


def words(text: str) -> list[str]:
    """The words of a text.

    >>> words("BM25, na\u00efve: \u6771\u4eac\u90fd")
    ['bm25', 'na\u00efve', '\u6771\u4eac', '\u4eac\u90fd']
    """
    return [word for word, _, _ in _composed_spans(unicodedata.normalize("NFC", text))]


def folded(word: str) -> str:
    """A word as `words` returns it: in lower case, with composed accents."""
    return word.lower() if word.isascii() else unicodedata.normalize("NFC", word.lower())


def set_apart(word: str, text: str, start: int, end: int) -> str:
    """`word` as a replacement of `text[start:end]`, with blanks where letters of an unspaced script adjoin it.

    >>> set_apart("red", "\u8d64\u3044", 0, 1)
    'red '
    """
    before = " " if start and text[start - 1].isalnum() else ""
    after = " " if end < len(text) and text[end].isalnum() else ""
    return f"{before}{word}{after}"
