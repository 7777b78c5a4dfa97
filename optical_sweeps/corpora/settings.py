"""Checks of the config values that corpora share."""

import string
from collections.abc import Collection

from optical_sweeps.checks import number_between, strings
from optical_sweeps.errors import UserError

ENGLISH = "en"
"""The teacher's language: it is the other side of every bitext, so never one of a corpus' languages."""


def languages_of(key: str, value: object) -> tuple[str, ...]:
    """`value`, a list of at least one language other than English, as a tuple."""
    languages = strings(key, value)
    if not languages:
        raise UserError(f"{key}: the list is empty; name at least one language")
    if ENGLISH in languages:
        raise UserError(f"{key}: 'en' is the teacher's language; name only languages to distil into")
    return languages


def languages_among(key: str, value: object, known: Collection[str], source: str) -> tuple[str, ...]:
    """`value`, a list of languages of `known`, as a tuple; `source` is who has the known ones."""
    return languages_among_all(key, languages_of(key, value), known, source)


def languages_among_all(key: str, value: object, known: Collection[str], source: str) -> tuple[str, ...]:
    """As `languages_among`, but English counts: a collection may be searched in it."""
    languages = strings(key, value)
    if not languages:
        raise UserError(f"{key}: the list is empty; name at least one language")
    for language in languages:
        if language not in known:
            raise UserError(f"{key}: unknown language {language!r}; {source} has {', '.join(sorted(known))}")
    return languages


def split_fractions(prefix: str, dev: object, test: object) -> tuple[float, float]:
    """The shares of dev and test, which must leave something to train on."""
    dev_share = number_between(f"{prefix}.dev_fraction", dev, 0.0, 1.0)
    test_share = number_between(f"{prefix}.test_fraction", test, 0.0, 1.0)
    if dev_share + test_share >= 1:
        raise UserError(
            f"{prefix}.dev_fraction and {prefix}.test_fraction: {dev_share:g} + {test_share:g} leaves "
            "nothing to train on; their sum must be below 1"
        )
    return dev_share, test_share


def requested_language(language: str, languages: Collection[str], key: str = "data.languages") -> None:
    """Check that a corpus was set up with `language`."""
    if language not in languages:
        raise UserError(f"{key}: {language!r} is asked for but not in it ({', '.join(languages)}); add it")


def check_pattern(key: str, pattern: object, known: set[str], needs: set[str] | None = None) -> None:
    """Check that a setting is a pattern of text with `{placeholders}` of `known`, among them all of `needs`."""
    if not isinstance(pattern, str) or not pattern:
        raise UserError(f"{key}: {pattern!r} is not a path; write it as text")
    try:
        named = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
    except ValueError as error:
        raise UserError(f"{key}: {pattern!r} is no pattern ({error}); double a brace that is meant") from None
    if named - known:
        allowed = " and ".join(f"{{{name}}}" for name in sorted(known)) or "none"
        raise UserError(
            f"{key}: {pattern!r} has the unknown placeholder {{{min(named - known)}}}; known: {allowed}"
        )
    for name in sorted((needs or set()) - named):
        raise UserError(f"{key}: {pattern!r} has no {{{name}}}, so every {name} would read one file; add it")
