"""Texts that a spreadsheet program would run as a formula, made plain before they go into a CSV file."""

from typing import TypeVar

T = TypeVar("T")
FORMULA_STARTS = ("=", "+", "-", "@", "\t")


def without_formula(value: T) -> T | str:
    """A text that starts like a formula gets an apostrophe, with which spreadsheets show it as it is.

    Numbers stay, also as texts.

    >>> without_formula("=HYPERLINK(1)"), without_formula("-0.5"), without_formula("de"), without_formula(-1)
    ("'=HYPERLINK(1)", '-0.5', 'de', -1)
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r", " ")  # pandas does not quote it, and it ends a row
    if not text.lstrip(" \n").startswith(FORMULA_STARTS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
