"""Language codes compared as BCP 47 tags, with the tables of Unicode's CLDR in the package langcodes."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from langcodes import Language
from langcodes.data_dicts import LIKELY_SUBTAGS
from langcodes.tag_parser import LanguageTagError

_POSIX_MODIFIERS: Mapping[str, str] = MappingProxyType({"latin": "Latn", "cyrillic": "Cyrl", "arabic": "Arab"})
_POSIX_LOCALE = re.compile(r"([^.@]+)(?:\.[^@]*)?(?:@(.*))?")
_BOKMAL = "nb"
"""Norwegian Bokmål, which CLDR has identified with Norwegian (`no`) since its version 39."""
_UNNAMED = (None, "und", "mul", "mis", "zxx")
"""Codes that stand for no single language."""


def parsed(code: str) -> Language | None:
    """The tag of a code in any common spelling; None if the code is not a language tag.

    ISO 639-3 codes become the shorter ones, old codes the current ones, and individual languages that CLDR
    identifies with a macrolanguage become that one (`cmn` is `zh`, `nb` is `no`). A locale's encoding and
    modifier are understood.

    >>> [str(parsed(code)) for code in ("pt_BR", "POR", "zho_Hans", "cmn", "iw", "sr_RS.UTF-8@latin")]
    ['pt-BR', 'pt', 'zh-Hans', 'zh', 'he', 'sr-Latn-RS']
    """
    return _parsed(code.strip().replace("_", "-"))


@cache
def _parsed(code: str) -> Language | None:
    locale = _POSIX_LOCALE.fullmatch(code)
    if locale is None:
        return None
    try:
        language = Language.get(locale[1]).prefer_macrolanguage()
    except LanguageTagError:
        return None
    if language.language == _BOKMAL:
        language = language.update_dict({"language": "no"})
    script = _POSIX_MODIFIERS.get((locale[2] or "").casefold())
    return language.update_dict({"script": script}) if script and not language.script else language


def base_language(code: str) -> str:
    """The language of a code without script and region, in its shortest form.

    >>> base_language("POR_br"), base_language("not a tag")
    ('pt', 'not a tag')
    """
    language = parsed(code)
    return language.language if language is not None and language.language else code


@cache
def matches(code: str, requested: str) -> bool:
    """Whether text labelled `code` is in the `requested` language.

    Every subtag of `requested` must be the code's own or, where the code leaves it out, the likely one of CLDR:
    `pt` is read as Brazilian and `zh-TW` as traditional Chinese.

    >>> matches("pt_br", "pt-BR"), matches("pt", "pt_BR"), matches("pt-PT", "pt-BR")
    (True, True, False)
    >>> matches("zh-TW", "zh-Hant"), matches("zh_Hans", "zh_CN")
    (True, True)
    """
    label, wanted = parsed(code), parsed(requested)
    if label is None or wanted is None:
        return code.casefold() == requested.casefold()
    likely = label.maximize() if has_likely_subtags(label) else label
    return (
        label.language == wanted.language
        and wanted.script in (None, likely.script)
        and wanted.territory in (None, likely.territory)
    )


@cache
def same_tag(code: str, other: str) -> bool:
    """Whether two codes are spellings of one tag."""
    tag = parsed(code)
    return tag is not None and tag == parsed(other)


def likely_script(code: str) -> str | None:
    """The ISO 15924 code of the script of a language: its script subtag, or CLDR's most likely one.

    >>> likely_script("tat"), likely_script("uz-Cyrl"), likely_script("pa-PK"), likely_script("xx")
    ('Cyrl', 'Cyrl', 'Arab', None)
    """
    language = parsed(code)
    if language is None:
        return None
    if language.script:
        return language.script
    return language.maximize().script if has_likely_subtags(language) else None


def has_likely_subtags(language: Language) -> bool:
    """Whether CLDR knows the language; for others `maximize` answers as for English."""
    return language.language not in _UNNAMED and language.language in LIKELY_SUBTAGS
