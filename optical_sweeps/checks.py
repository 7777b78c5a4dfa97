"""Checks of config values; each raises a UserError that names the key.

Hydra hands over lists, and a sweep may hand over anything: nothing is converted that the user did not mean
(true is not 1, "5" is not 5). Classes that check their settings so carry `__no_type_check__`, since the tests'
type checker would refuse a bad value before its key is named.
"""

import math
from collections.abc import Collection, Iterable
from numbers import Integral, Real

from optical_sweeps.errors import UserError


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


def positive_number(key: str, value: object) -> float:
    """`value` as a finite float above 0."""
    number = number_between(key, value, 0.0, math.inf)
    if number == 0:
        raise UserError(f"{key}: {value!r} is not a number above 0; change it")
    return number


def true_or_false(key: str, value: object) -> bool:
    """`value`, which is a bool."""
    if not isinstance(value, bool):
        raise UserError(f"{key}: {value!r} is neither true nor false; change it")
    return value


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


def one_of(key: str, value: object, choices: Collection[str]) -> str:
    """`value`, which is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise UserError(f"{key}: {value!r} is not one of {', '.join(choices)}")
    return value
