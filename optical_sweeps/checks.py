"""Field types of settings classes, and checks of single values that name the key.

Nothing is converted that the user did not mean: true is not 1, and "5" is not 5.
"""

import math
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BeforeValidator

from optical_sweeps.errors import UserError, did_you_mean


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
    try:
        return _distinct_strings(value)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from None


def suggestion(name: str, known: Iterable[str], most: int = 10) -> str:
    """The names to choose from, for the end of a message; the most similar one as a question.

    >>> suggestion("optcal", ["mse", "optical"])
    'did you mean optical? there are: mse, optical'
    >>> suggestion("x", map(str, range(12)), most=2), suggestion("x", [])
    ('there are: 0, 1, and 10 more', 'there are none')
    """
    names = list(dict.fromkeys(known))
    question = did_you_mean(name, names).removeprefix("; ")
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f"{question} there are: {', '.join(names[:most])}{more}".lstrip() if names else "there are none"


def check_file(key: str, path: Path, remedy: str) -> None:
    """Refuse a path that is not a file; the message has its absolute path."""
    if not path.is_file():
        raise UserError(f"{key}: there is no file {path.absolute()}; {remedy}")


def check_folder(key: str, path: Path, remedy: str) -> None:
    """Refuse a path that is not a folder; the message has its absolute path."""
    if not path.is_dir():
        raise UserError(f"{key}: there is no folder {path.absolute()}; {remedy}")


def check_new_folder(key: str, path: Path) -> None:
    """Refuse a path that exists already."""
    if path.exists():
        raise UserError(f"{key}: {path} exists already; name another folder, or remove it")


def one_of(key: str, value: object, choices: Collection[str]) -> str:
    """`value`, which is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise UserError(f"{key}: {value!r} is not one of {', '.join(choices)}")
    return value


def _as_path(value: object) -> Path:
    """`value`, a string or a path, with `~` expanded; raises ValueError, as pydantic's validators do."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{value!r} is not a path; change it")
    try:
        return expanded(Path(value))
    except UserError as error:
        raise ValueError(str(error)) from None


def expanded(path: Path) -> Path:
    """The path with `~` replaced by the home folder.

    Raises:
        UserError: the user has no home folder, as in a container whose user is only a number.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no home folder; set HOME, or write the path in full") from None


def _distinct_strings(value: object) -> tuple[str, ...]:
    """`value`, a list of distinct strings, as a tuple; raises ValueError, as pydantic's validators do."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{value!r} is not a list; write it as [de, fr]")
    items = tuple(value)
    for number, item in enumerate(items):
        if not isinstance(item, str):
            # YAML reads a bare `no` (Norwegian) as false
            raise ValueError(f"{item!r} is not a string; put it in quotes")
        if item in items[:number]:
            raise ValueError(f"{item!r} is listed twice; remove one of them")
    return items


Count = Annotated[int, Ge(1)]
"""A whole number of at least 1."""
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
"""A finite number above 0."""
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
"""A number in [0, 1]."""
PositiveFraction = Annotated[float, Gt(0), Le(1)]
"""A number in (0, 1]."""
OpenFraction = Annotated[float, Gt(0), Lt(1)]
"""A number in (0, 1)."""
Strings = Annotated[tuple[str, ...], BeforeValidator(_distinct_strings)]
"""Distinct strings; a config's list becomes a tuple."""
FilePath = Annotated[Path, BeforeValidator(_as_path)]
"""A path; a config's string becomes one, with `~` expanded."""
