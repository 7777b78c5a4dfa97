"""Writing systems: the scripts of each language, and the share of a text in a script."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

SCRIPT_RANGES: Mapping[str, str] = MappingProxyType(
    {
        "latin": "A-Za-zªºÀ-ÖØ-öø-ʸᴀ-ᶿḀ-ỿⱠ-ⱿꜢ-ꟿﬀ-ﬆＡ-Ｚａ-ｚ",
        "greek": "Ͱ-Ͽἀ-῿",
        "cyrillic": "Ѐ-ԯᲀ-ᲈⷠ-ⷿꙀ-ꚟ",
        "armenian": "Ա-֏ﬓ-ﬗ",
        "hebrew": "\u05d0-\u05f2\ufb1d-\ufb4f",  # as code points: normalisation would decompose them
        "arabic": "ؠ-يٮ-ۓە-ۼݐ-ݿࡰ-ࢎࢠ-ࣉﭐ-﷿ﹰ-ﻼ",
        "devanagari": "\u0900-\u097f\ua8e0-\ua8ff",
        "bengali": "\u0980-\u09ff",
        "gurmukhi": "\u0a00-\u0a7f",
        "gujarati": "\u0a80-\u0aff",
        "tamil": "\u0b80-\u0bff",
        "telugu": "\u0c00-\u0c7f",
        "kannada": "\u0c80-\u0cff",
        "malayalam": "\u0d00-\u0d7f",
        "sinhala": "\u0d80-\u0dff",
        "thai": "\u0e00-\u0e7f",
        "lao": "\u0e80-\u0eff",
        "burmese": "\u1000-\u109f\uaa60-\uaa7f",
        "georgian": "Ⴀ-ჿᲐ-Ჿⴀ-ⴭ",
        "hangul": "ᄀ-ᇿ㄰-㆏ꥠ-꥿가-힣ힰ-ퟻ",
        "ethiopic": "ሀ-፼ᎀ-᎙ⶀ-ⷞꬁ-ꬮ",
        "khmer": "\u1780-\u17dd",
        "kana": "ぁ-ゟァ-ヿㇰ-ㇿｦ-ﾟ",
        "han": "々〇㐀-䶿一-鿿\uf900-\ufaff\U00020000-\U0003ffff",
    }
)
"""Script -> ranges of its letters and marks, for a character class of a regular expression."""

_SCRIPTS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "tg", "uk"), ("cyrillic",)),
        **dict.fromkeys(("ar", "ckb", "fa", "ps", "sd", "ug", "ur"), ("arabic",)),
        **dict.fromkeys(("hi", "mr", "ne", "sa"), ("devanagari",)),
        **dict.fromkeys(("as", "bn"), ("bengali",)),
        **dict.fromkeys(("am", "ti"), ("ethiopic",)),
        **dict.fromkeys(("he", "yi"), ("hebrew",)),
        "sr": ("cyrillic", "latin"),
        "ja": ("han", "kana"),
        "ko": ("hangul", "han"),
        "zh": ("han",),
        "el": ("greek",),
        "gu": ("gujarati",),
        "hy": ("armenian",),
        "ka": ("georgian",),
        "km": ("khmer",),
        "kn": ("kannada",),
        "lo": ("lao",),
        "ml": ("malayalam",),
        "my": ("burmese",),
        "pa": ("gurmukhi",),
        "si": ("sinhala",),
        "ta": ("tamil",),
        "te": ("telugu",),
        "th": ("thai",),
    }
)


def scripts_of(language: str) -> tuple[str, ...]:
    """The scripts of a language; Latin for a language that is not listed (`pt-BR` counts as `pt`)."""
    return _SCRIPTS_OF.get(language.replace("_", "-").split("-")[0].casefold(), ("latin",))


def script_share(text: str, scripts: tuple[str, ...]) -> float:
    """The share of a text's letters that are in one of `scripts`, in [0, 1]; 1 for a text without a letter.

    >>> script_share("Рыба and чипсы", ("cyrillic",))
    0.75
    """
    if text.isascii() and "latin" in scripts:  # most English texts; the general path takes 30 us
        return 1.0
    rest = _runs(tuple(SCRIPT_RANGES)).sub("", text)
    letters = len(text) - len(rest) + sum(map(str.isalpha, rest))
    if not letters:
        return 1.0
    return (len(text) - len(_runs(scripts).sub("", text))) / letters


@cache
def _runs(scripts: tuple[str, ...]) -> re.Pattern[str]:
    """Runs of letters, so that there is one match for a word and not for each letter."""
    return re.compile(f"[{''.join(SCRIPT_RANGES[script] for script in scripts)}]+")
