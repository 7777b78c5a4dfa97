"""Words for lexical search and dictionaries: one rule for every language.

A word is a segment between Unicode's word boundaries (UAX #29, as in Lucene's StandardTokenizer) that has a
letter or digit. Words are compared by NFKC case folding. Scripts that are written without blanks are divided
into pairs of characters. There are no stop words and no stemmer.
"""

import unicodedata
from itertools import pairwise

import regex

# Thai, Lao, Burmese, Khmer, kana and Han, also beyond the Basic Multilingual Plane
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = regex.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|[^{_UNSPACED}]+")
_SEGMENT = regex.compile(r"(?sw)\b\w.*?\b")  # the flag w: boundaries of UAX #29
_LETTER = regex.compile(r"[\p{L}\p{N}]")
ZERO_WIDTH_SPACE = "\u200b"
"""Invisible, but it separates words; other invisible characters join or format them."""
_TURKISH_I = regex.compile(r"i\u0307+|\u0131")
_INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")


def visible(text: str) -> str:
    """`text` without differences that cannot be seen: composed, without invisible characters, single blanks.

    >>> visible("\ufeffa  nai\u0308ve co\u00adop\u200b")
    'a naïve coop'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    return " ".join(text.split())


def folded(text: str) -> str:
    """`text` in NFKC case folding (Unicode 3.13, D146), with the Turkish dotted and dotless i as i, ’ as '.

    >>> folded("\uff21pple STRASSE Straße İSTANBUL ısı co\u00adop")
    'apple strasse strasse istanbul isi coop'
    """
    if text.isascii():
        return text.lower()
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKD", text))
    for _ in range(2):  # composing and mapping compatibility characters can give upper case again
        text = _TURKISH_I.sub("i", text.casefold().replace("’", "'"))
        text = unicodedata.normalize("NFKC", text)
    return text


def lowered(word: str) -> str:
    """A word in lower case with composed accents, as a text may contain it.

    >>> lowered("Straße"), folded("Straße")
    ('straße', 'strasse')
    """
    return unicodedata.normalize("NFC", word.lower())


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """Each word with its start and end in `text`, whose accents may be composed or decomposed.

    >>> word_spans("Red: \u6771\u4eac\u90fd")
    [('red', 0, 3), ('\u6771\u4eac', 5, 7), ('\u4eac\u90fd', 6, 8)]
    """
    if text.isascii():
        return _folded_spans(text.lower())
    pieces = _clusters(text.replace(ZERO_WIDTH_SPACE, " "))
    origins = [span for piece, start, end in pieces for span in _origins(text[start:end], piece, start)]
    spans = _folded_spans("".join(piece for piece, _, _ in pieces))
    return [(word, origins[start][0], origins[end - 1][1]) for word, start, end in spans]


def words(text: str) -> list[str]:
    """The words of a text.

    >>> words("BM25, na\u00efve: \u6771\u4eac\u90fd")
    ['bm25', 'na\u00efve', '\u6771\u4eac', '\u4eac\u90fd']
    """
    return [word for word, _, _ in _folded_spans(folded(text.replace(ZERO_WIDTH_SPACE, " ")))]


def _folded_spans(text: str) -> list[tuple[str, int, int]]:
    """Each word of a folded text with its start and end."""
    spans = []
    for run in _RUN.finditer(text):
        start, end = run.span()
        if run["unspaced"]:
            pairs = pairwise(range(start, end)) if end - start > 1 else ((start, start),)
            spans += [(text[first : last + 1], first, last + 1) for first, last in pairs]
            continue
        for segment in _SEGMENT.finditer(run[0]):
            word, at = segment[0], start + segment.start()
            if word[0].isalnum() or _LETTER.search(word):  # not a mark or underscore alone
                spans.append((word, at, at + len(word)))
    return spans


def _clusters(text: str) -> list[tuple[str, int, int]]:
    """The folded pieces of a text that normalisation cannot join, with their places in it."""
    starts = [at for at, letter in enumerate(text) if at == 0 or not _may_compose(letter)]
    return [(folded(text[start:end]), start, end) for start, end in pairwise([*starts, len(text)])]


def _origins(original: str, piece: str, start: int) -> list[tuple[int, int]]:
    """For each character of a folded piece, its span in the text: its own, or else the whole piece's."""
    if len(piece) == len(original) and all(
        folded(letter) == other for letter, other in zip(original, piece, strict=True)
    ):
        return [(at, at + 1) for at in range(start, start + len(piece))]
    return [(start, start + len(original))] * len(piece)


def _may_compose(letter: str) -> bool:
    """Whether it may compose with the letter before it: a mark, or a vowel or final of a Hangul syllable."""
    first = unicodedata.normalize("NFKD", letter)[0]
    return (
        unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff" or bool(_INVISIBLE.match(letter))
    )


def set_apart(word: str, text: str, start: int, end: int) -> str:
    """`word` as a replacement of `text[start:end]`, with blanks where letters of an unspaced script adjoin it.

    >>> set_apart("red", "\u8d64\u3044", 0, 1)
    'red '
    """
    before = " " if start and text[start - 1].isalnum() else ""
    after = " " if end < len(text) and text[end].isalnum() else ""
    return f"{before}{word}{after}"
