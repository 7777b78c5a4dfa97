"""Checks of config values; each raises a UserError that names the key.

Hydra hands over lists, and a sweep may hand over anything: nothing is converted that the user did not mean
(true is not 1, "5" is not 5).
"""

import math
from collections.abc import Collection, Iterable
from numbers import Integral, Real

from optical_sweeps.errors import UserError

ENGLISH = "en"
"""The teacher's language: it is the other side of every bitext, so never one of a corpus' languages."""


def whole_number(key: str, value: object, least: int) -> int:
    """`value` as an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UserError(f"{key}: {value!r} is not a whole number of at least {least}; change it")
    return int(value)


def number_between(key: str, value: object, low: float, high: float) -> float:
    """`value` as a float in [low, high] (never NaN)."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= float(value) <= high or math.isinf(float(value)):  # type: ignore[arg-type]
        bounds = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f"of at least {low:g} and finite"
        raise UserError(f"{key}: {value!r} is not a number {bounds}; change it")
    return float(value)  # type: ignore[arg-type]


def strings(key: str, value: object) -> tuple[str, ...]:
    """`value`, a list of distinct strings, as a tuple."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UserError(f"{key}: {value!r} is not a list; write it as [de, fr]")
    items = tuple(value)
    for number, item in enumerate(items):
        if not isinstance(item, str):
            # YAML reads a bare `no` (Norwegian) as false
            raise UserError(f"{key}: {item!r} is not a string; put it in quotes")
        if item in items[:number]:
            raise UserError(f"{key}: {item!r} stands twice; remove one")
    return items


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
    languages = languages_of(key, value)
    for language in languages:
        if language not in known:
            raise UserError(f"{key}: unknown language {language!r}; {source} has {', '.join(sorted(known))}")
    return languages


def one_of(key: str, value: object, choices: Collection[str]) -> str:
    """`value`, which is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise UserError(f"{key}: {value!r} is not one of {', '.join(choices)}")
    return value


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
