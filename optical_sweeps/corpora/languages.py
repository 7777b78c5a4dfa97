"""Field types for the languages of a corpus, and the check of a requested language."""

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator

from optical_sweeps.checks import Strings
from optical_sweeps.corpora.language_tags import base_language
from optical_sweeps.errors import UserError

ENGLISH = "en"
"""The teacher's language, and the other side of every bitext."""


def known_languages(known: Collection[str], source: str) -> AfterValidator:
    """A validator of a list of languages: at least one, each among the `known` languages of `source`."""

    def check(languages: tuple[str, ...]) -> tuple[str, ...]:
        for language in _at_least_one(languages):
            if language not in known:
                raise ValueError(f"unknown language {language!r}; {source} has {', '.join(sorted(known))}")
        return languages

    return AfterValidator(check)


def requested_language(language: str, languages: Collection[str], key: str = "data.languages") -> None:
    """Check that a corpus is configured with `language`.

    Raises:
        UserError: it is not.
    """
    if language not in languages:
        raise UserError(f"{key}: {language!r} is requested but not listed ({', '.join(languages)}); add it")


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
