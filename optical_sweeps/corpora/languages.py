"""Field types for the languages of a corpus, and the check of a requested language."""

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator

from optical_sweeps.checks import Strings
from optical_sweeps.corpora.language_tags import base_language, same_tag
from optical_sweeps.errors import UserError, did_you_mean

ENGLISH = "en"
"""The teacher's language, and the other side of every bitext."""


def known_languages(known: Collection[str], source: str) -> AfterValidator:
    """A validator of a list of languages: at least one, each among the `known` languages of `source`."""

    def check(languages: tuple[str, ...]) -> tuple[str, ...]:
        for language in _at_least_one(languages):
            if language not in known:
                raise ValueError(
                    f"unknown language {language!r}; {source} has {', '.join(sorted(known))}"
                    f"{meant_language(language, known)}"
                )
        return languages

    return AfterValidator(check)


def requested_language(language: str, languages: Collection[str], key: str = "data.languages") -> None:
    """Check that a corpus is configured with `language`.

    Raises:
        UserError: it is not.
    """
    if language not in languages:
        raise UserError(
            f"{key}: {language!r} is requested but not listed ({', '.join(languages)}); add it"
            f"{meant_language(language, languages)}"
        )


def meant_language(code: str, known: Collection[str]) -> str:
    """The end of a message about an unknown code: another spelling of its tag, or a similar code, or nothing.

    >>> meant_language("kat", ["sw", "ka"]), meant_language("zh-cmn", ["zh"]), meant_language("xx", ["ka"])
    ('; did you mean ka?', '; did you mean zh?', '')
    """
    spellings = [other for other in known if same_tag(code, other)]
    return f"; did you mean {spellings[0]}?" if spellings else did_you_mean(code, known)


def chosen_language(key: str, language: object, known: Collection[str]) -> str:
    """`language`, which a command's config names; raises a `UserError` unless it is one of the `known`."""
    if not isinstance(language, str) or language not in known:
        meant = meant_language(str(language), known)
        raise UserError(f"{key}: {language!r} is not one of {', '.join(known)}{meant}")
    return language


def _at_least_one(languages: tuple[str, ...]) -> tuple[str, ...]:
    if not languages:
        raise ValueError("the list is empty; name at least one language")
    return languages


def _without_english(languages: tuple[str, ...]) -> tuple[str, ...]:
    for language in _at_least_one(languages):
        if base_language(language) == ENGLISH:
            raise ValueError(f"{language!r} is the teacher's language; name only languages to distil into")
    return languages


TargetLanguages = Annotated[Strings, AfterValidator(_without_english)]
"""Languages to distil into: at least one, and not English."""
