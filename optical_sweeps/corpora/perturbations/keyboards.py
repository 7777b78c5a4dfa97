"""Keyboards: the letters beside a letter, in the layout of a language.

Layouts are the defaults of operating systems. Rows are given from top to bottom, each shifted half a key to the
right of the row above. The letter on the other plane of a key (shift) also counts as beside it.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from optical_sweeps.corpora.language_tags import base_language
from optical_sweeps.corpora.perturbations.units import is_letter

Rows = tuple[str, str, str]

QWERTY: Rows = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
CYRILLIC: Rows = ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю")
GREEK: Rows = (" ςερτυθιοπ", "ασδφγηξκλ", "ζχψωβνμ")
HEBREW: Rows = ("  קראטוןםפ", "שדגכעיחלךף", "זסבהנמצתץ")
ARABIC: Rows = ("ضصثقفغعهخحجد", "شسيبلاتنمكط", "ئءؤر ىةوزظ")
GEORGIAN: Rows = ("ქწერტყუიოპ", "ასდფგჰჯკლ", "ზხცვბნმ")
THAI: Rows = ("ๆไำพะัีรนยบล", "ฟหกดเ้่าสวง", "ผปแอิืทมใฝ")
THAI_SHIFTED: Rows = (' "ฎฑธํ๊ณฯญฐ,', "ฤฆฏโฌ็๋ษศซ.", "()ฉฮฺ์ ฒฬฦ")
HANGUL: Rows = ("ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ", "ㅋㅌㅊㅍㅠㅜㅡ")
HANGUL_SHIFTED: Rows = ("ㅃㅉㄸㄲㅆ   ㅒㅖ", " " * 9, " " * 7)
INSCRIPT: Rows = (
    "\u094c\u0948\u093e\u0940\u0942\u092c\u0939\u0917\u0926\u091c\u0921",
    "\u094b\u0947\u094d\u093f\u0941\u092a\u0930\u0915\u0924\u091a\u091f",
    " \u0902\u092e\u0928\u0935\u0932\u0938  \u092f",
)
INSCRIPT_SHIFTED: Rows = (
    "\u0914\u0910\u0906\u0908\u090a\u092d\u0919\u0918\u0927\u091d\u0922",
    "\u0913\u090f\u0905\u0907\u0909\u092b\u0931\u0916\u0925\u091b\u0920",
    " \u0901\u0923\u0929\u0934\u0933\u0936\u0937 \u095f",
)
"""Devanagari; India's standard has the letters of the other scripts on the same keys."""
INDIC_BLOCKS = range(0x0900, 0x0D80, 0x80)
"""Starts of the Unicode blocks of nine Indic scripts, in which equivalent letters have equal offsets."""

LAYOUTS: Sequence[tuple[Rows, ...]] = (
    (QWERTY,), (CYRILLIC,), (GREEK,), (HEBREW,), (ARABIC,), (GEORGIAN,), (THAI, THAI_SHIFTED),
    (HANGUL, HANGUL_SHIFTED),
)  # fmt: skip
"""The planes of the layout of each script."""

_QWERTZ: Rows = ("qwertzuiop", "asdfghjkl", "yxcvbnm")
_UKRAINIAN: Rows = ("йцукенгшщзхї", "фівапролджє", "ячсмитьбю")
_PERSIAN: Rows = ("ضصثقفغعهخحجچ", "شسیبلاتنمکگ", "ظطزرذدپو")
LANGUAGE_ROWS: Mapping[str, Rows] = MappingProxyType(
    {
        **dict.fromkeys(("cs", "de", "hu", "sk", "sl", "hr"), _QWERTZ),
        "fr": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
        "uk": _UKRAINIAN,
        "fa": _PERSIAN,
    }
)
"""Language -> its layout, if it differs from that of its script."""

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"


def neighbours(letter: str, language: str) -> tuple[str, ...]:
    """The letters that a neighbouring key gives instead of `letter`, in its case; none if no layout has it.

    A letter with a diacritic counts as the letter without it. A Hangul syllable has the syllables with one part
    replaced, and kana, which are typed in many ways, those that differ in voicing or size.

    >>> neighbours("A", "en")
    ('Q', 'W', 'S', 'Z')
    """
    if "가" <= letter <= "힣":
        return _syllables(letter)
    base = unicodedata.normalize("NFD", letter.lower())[0]
    letters = _beside(language).get(letter.lower()) or _beside(language).get(base, ())
    if letter.isupper():
        letters = tuple(other.upper() for other in letters)
    return tuple(other for other in letters if len(other) == 1 and other != letter)


@cache
def _beside(language: str) -> Mapping[str, tuple[str, ...]]:
    """Letter -> letters beside it; the layout of the language takes precedence over that of its script."""
    base = base_language(language)
    specific = ((LANGUAGE_ROWS[base],),) if base in LANGUAGE_ROWS else ()
    table: dict[str, tuple[str, ...]] = {}
    for planes in (*specific, *LAYOUTS, *(_indic(start) for start in INDIC_BLOCKS)):
        for letter, others in _neighbours_on(planes).items():
            table.setdefault(letter, others)
    return {**_kana(), **table}


def _neighbours_on(planes: Sequence[Rows]) -> dict[str, tuple[str, ...]]:
    letters = {}
    for number, rows in enumerate(planes):
        for row, keys in enumerate(rows):
            for column, letter in enumerate(keys):
                if is_letter(letter):
                    near = [_key(rows, *place) for place in _around(row, column)]
                    near += [_key(other, row, column) for other in planes if other is not planes[number]]
                    letters[letter] = tuple(dict.fromkeys(key for key in near if key and is_letter(key)))
    return letters


def _around(row: int, column: int) -> tuple[tuple[int, int], ...]:
    """The positions above left, above right, left, right, below left and below right."""
    return (
        (row - 1, column), (row - 1, column + 1), (row, column - 1), (row, column + 1), (row + 1, column - 1),
        (row + 1, column),
    )  # fmt: skip


def _key(rows: Rows, row: int, column: int) -> str:
    inside = 0 <= row < len(rows) and 0 <= column < len(rows[row])
    return rows[row][column] if inside else ""


def _indic(start: int) -> tuple[Rows, Rows]:
    def moved(rows: Rows) -> Rows:
        first, second, third = ("".join(_moved(letter, start) for letter in row) for row in rows)
        return first, second, third

    return moved(INSCRIPT), moved(INSCRIPT_SHIFTED)


def _moved(letter: str, start: int) -> str:
    other = chr(ord(letter) - INDIC_BLOCKS.start + start) if letter != " " else " "
    return other if unicodedata.name(other, "") else " "


def _kana() -> dict[str, tuple[str, ...]]:
    """Kana that differ in voicing, or in size."""
    variants: dict[str, list[str]] = {}
    for first, last in (("ぁ", "ゖ"), ("ァ", "ヺ")):
        for number in range(ord(first), ord(last) + 1):
            plain = chr(number)
            voiced = [unicodedata.normalize("NFC", plain + mark) for mark in ("\u3099", "\u309a")]
            for other in (one for one in voiced if len(one) == 1):
                variants.setdefault(plain, []).append(other)
                variants.setdefault(other, []).append(plain)
    for small, large in zip(
        "ぁぃぅぇぉっゃゅょァィゥェォッャュョ", "あいうえおつやゆよアイウエオツヤユヨ", strict=True
    ):
        variants.setdefault(small, []).append(large)
        variants.setdefault(large, []).append(small)
    return {letter: tuple(others) for letter, others in variants.items()}


def _syllables(syllable: str) -> tuple[str, ...]:
    """The syllables that one wrong key gives instead of a Hangul syllable."""
    rest, final = divmod(ord(syllable) - ord("가"), len(FINALS))
    initial, vowel = divmod(rest, len(VOWELS))
    beside = _beside("ko")
    places = ((initial, INITIALS, len(VOWELS) * len(FINALS)), (vowel, VOWELS, len(FINALS)), (final, FINALS, 1))
    return tuple(
        chr(ord(syllable) + (letters.index(other) - number) * step)
        for number, letters, step in places
        for other in beside.get(letters[number], ())
        if other in letters
    )
