"""Writing systems by ISO 15924 code: the scripts of each language, and the share of a text in a script."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import regex

from optical_sweeps.corpora.language_tags import base_language, likely_script, parsed

_PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Jpan": ("Hani", "Hira", "Kana"),
        "Kore": ("Hang", "Hani"),
        "Hans": ("Hani",),
        "Hant": ("Hani",),
        "Hanb": ("Hani", "Bopo"),
        "Hrkt": ("Hira", "Kana"),
        "Aran": ("Arab",),
        "Latf": ("Latn",),
        "Latg": ("Latn",),
        "Cyrs": ("Cyrl",),
        "Geok": ("Geor",),
    }
)
"""Codes of ISO 15924 for several of Unicode's scripts, or for a variant of one."""

_IN_USE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sr": ("Cyrl", "Latn"),
        "iu": ("Cans", "Latn"),
        "rif": ("Latn", "Tfng"),
        "shi": ("Latn", "Tfng"),
        "grc": ("Grek",),
        "non": ("Latn",),
        "sga": ("Latn",),
        "ryu": _PARTS["Jpan"],
        "udi": ("Cyrl", "Latn"),
    }
)
"""Scripts of published texts, unless the code names one: two in daily use, or another than CLDR's likely one
(for an ancient language, that of its inscriptions)."""


def scripts_of(language: str) -> tuple[str, ...] | None:
    """Unicode's scripts of a language, from the code's script subtag or CLDR's likely subtags.

    None if the language is not in CLDR's table and the code names no script.

    >>> scripts_of("tat"), scripts_of("uz-Cyrl"), scripts_of("ja"), scripts_of("xx")
    (('Cyrl',), ('Cyrl',), ('Hani', 'Hira', 'Kana'), None)
    """
    tag = parsed(language)
    if tag is not None and not tag.script and not tag.territory and base_language(language) in _IN_USE:
        return _IN_USE[base_language(language)]
    script = likely_script(language)
    if script is None or not all(is_script(part) for part in _PARTS.get(script, (script,))):
        return None
    return _PARTS.get(script, (script,))


@cache
def is_script(code: str) -> bool:
    """Whether Unicode has letters of a script with this ISO 15924 code."""
    if not (len(code) == 4 and code.isascii() and code.isalpha()) or code in ("Zinh", "Zyyy", "Zzzz"):
        return False
    try:
        regex.compile(rf"\p{{Script={code}}}")
    except regex.error:
        return False
    return True


def script_share(text: str, scripts: tuple[str, ...]) -> float:
    """The share of a text's letters and marks that are in one of `scripts`, in [0, 1]; 1 if there are none.

    Letters and marks that many scripts use (Unicode's scripts Common and Inherited) are not counted.

    >>> script_share("Рыба and чипсы", ("Cyrl",))
    0.75
    """
    if text.isascii() and "Latn" in scripts:  # most English texts; the general path is slower
        return 1.0
    letters = len(text) - len(_ALL_LETTERS.sub("", text))
    if not letters:
        return 1.0
    return (len(text) - len(letters_of(scripts).sub("", text))) / letters


_ALL_LETTERS = regex.compile(r"(?V1)[[\p{L}\p{M}\p{Nl}]--[\p{Script=Zyyy}\p{Script=Zinh}]]+")


@cache
def letters_of(scripts: tuple[str, ...]) -> "regex.Pattern[str]":
    """Runs of letters and marks, so that there is one match for a word and not for each letter."""
    members = "".join(rf"\p{{Script={script}}}" for script in scripts)
    return regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}\p{{Nl}}]&&[{members}]]+")
