"""Checks of single config values: one line that names the key."""

import math

import pytest

from optical_sweeps.checks import number_between, one_of, strings, whole_number
from optical_sweeps.errors import UserError


def test_good_values_pass_through():
    assert whole_number("k", 3, least=3) == 3
    assert number_between("k", 1, 0.0, 1.0) == 1.0
    assert number_between("k", 0.25, 0.0, math.inf) == 0.25
    assert strings("k", ["b", "a"]) == ("b", "a")
    assert one_of("k", "a", ("a", "b")) == "a"


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: whole_number("k", 2, least=3), "k: 2 is not a whole number of at least 3"),
        (lambda: whole_number("k", "5", least=1), "k: '5' is not"),
        (lambda: whole_number("k", 2.0, least=1), "k: 2.0 is not"),
        (lambda: whole_number("k", True, least=1), "k: True is not"),
        (lambda: whole_number("k", None, least=1), "k: None is not"),
        (lambda: number_between("k", 1.01, 0.0, 1.0), "k: 1.01 is not a number in [0, 1]"),
        (lambda: number_between("k", "half", 0.0, 1.0), "k: 'half' is not"),
        (lambda: number_between("k", False, 0.0, 1.0), "k: False is not"),
        (lambda: number_between("k", math.nan, 0.0, 1.0), "k: nan is not"),
        (
            lambda: number_between("k", math.inf, 0.0, math.inf),
            "k: inf is not a number of at least 0 and finite",
        ),
        (lambda: strings("k", "de"), "k: 'de' is not a list"),
        (lambda: strings("k", None), "k: None is not a list"),
        (lambda: strings("k", ["de", False]), "k: False is not a string; put it in quotes"),
        (lambda: strings("k", ["de", "de"]), "k: 'de' is listed twice"),
        (lambda: one_of("k", "c", ("a", "b")), "k: 'c' is not one of a, b"),
        (lambda: one_of("k", 1, ("a", "b")), "k: 1 is not one of"),
    ],
)
def test_bad_values_name_their_key(check, message):
    with pytest.raises(UserError) as error:
        check()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
