"""Each filter of bitext at its exact bound."""

import math

import pytest

from optical_sweeps.corpora.filters import BitextFilters, BitextReport, pair_hash


def kept(pair: tuple[str, str], language: str = "de", **settings) -> bool:
    return all(passes(*pair) for passes in BitextFilters(**settings).tests(language).values())


@pytest.mark.parametrize(
    ("lengths", "ratio", "expected"),
    [
        ((5, 10), 2.0, True),
        ((10, 5), 2.0, True),
        ((5, 11), 2.0, False),
        ((11, 5), 2.0, False),
        ((4, 6), 1.5, True),
        ((4, 7), 1.5, False),
        ((3, 3), 1.0, True),
        ((3, 4), 1.0, False),
        ((1, 9000), None, True),
    ],
)
def test_a_pair_at_the_exact_ratio_is_kept(lengths, ratio, expected):
    assert kept(("a" * lengths[0], "b" * lengths[1]), max_ratio=ratio) == expected


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    ("lengths", "settings", "expected"),
    [
        ((3, 8), {"min_length": 3}, True),
        ((2, 8), {"min_length": 3}, False),
        ((3, 8), {"max_length": 8}, True),
        ((3, 9), {"max_length": 8}, False),
        ((4, 4), {"min_length": 4, "max_length": 4}, True),
        ((1, 1), {}, True),
        ((0, 1), {}, False),
    ],
)
def test_a_pair_at_the_exact_length_is_kept(lengths, settings, expected, swap):
    pair = ("a" * lengths[0], "b" * lengths[1])
    assert kept(pair[::-1] if swap else pair, **settings) == expected


@pytest.mark.parametrize(
    ("pair", "share", "expected"),
    [
        (("ab", "цd"), 0.5, True),
        (("ab", "цde"), 0.5, False),
        (("цb", "цц"), 0.5, True),
        (("ццb", "цц"), 0.5, False),
        (("ab", "цц"), 1.0, True),
        (("ab", "ццd"), 1.0, False),
    ],
)
def test_a_pair_at_the_exact_share_of_its_script_is_kept(pair, share, expected):
    assert kept(pair, "ru", min_script_share=share) == expected


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sr", "рачунар računar"), ("grc", "ἐν ἀρχῇ ἦν ὁ λόγος"), ("non", "ár var alda"), ("ryu", "沖縄へ"),
        ("iu", "tusaatsiaqtunga"), ("shi", "azul ⴰⵣⵓⵍ"), ("am", "ሰላም"), ("ka", "გამარჯობა"),
        ("th", "สวัสดี"), ("ko", "안녕"),
    ],
)  # fmt: skip
def test_a_language_is_kept_in_the_scripts_of_its_published_texts(language, text):
    assert kept(("hello", text), language, min_script_share=1.0)
    assert not kept(("hello", "न"), language, min_script_share=1.0)


class Identifier:
    """Takes every text for one language with one probability."""

    def __init__(self, language: str, probability: float) -> None:
        self.answer = language, probability

    def identify(self, text: str) -> tuple[str, float]:
        return self.answer if text == "suspect" else ("en" if text == "english" else "de", 1.0)


@pytest.mark.parametrize("pair", [("suspect", "deutsch"), ("english", "suspect")])
@pytest.mark.parametrize(
    ("probability", "expected"), [(0.9, False), (math.nextafter(0.9, 0), True), (1.0, False), (0.0, True)]
)
def test_an_answer_at_the_exact_probability_counts(pair, probability, expected):
    settings = {"language_id": Identifier("fr", probability), "min_language_probability": 0.9}
    assert kept(pair, **settings) == expected


def test_filters_that_are_off_have_no_test_and_the_others_keep_their_order():
    assert list(BitextFilters().tests("de")) == ["length"]
    every = BitextFilters(
        max_ratio=2.0, drop_copies=True, min_script_share=0.5, language_id=Identifier("de", 1.0)
    )
    assert list(every.tests("de")) == ["length", "ratio", "copy", "script", "language_id"]


def test_a_duplicate_is_the_same_on_both_sides():
    pairs = [("a", "b"), ("a", "c"), ("c", "b"), ("b", "a"), ("ab", ""), ("", "ab")]
    assert len(set(map(pair_hash, pairs))) == len(pairs)
    assert pair_hash(("a  b", "c\u200bd")) == pair_hash(("a b", "cd"))


def test_a_report_is_one_line_and_sorted_json():
    report = BitextReport("fi", kept=664)
    report.read.update({"b.tsv": 300, "a.tsv": 1400})
    report.dropped.update(ratio=6, duplicate=30)
    report.faults.update({"blank": 1, "2 columns": 1000})
    assert report.line() == (
        "fi: 664 of 1,700 pairs; dropped: 30 duplicate, 6 ratio; skipped: 1,000 2 columns, 1 blank"
    )
    assert report.as_dict() == {
        "kept": 664,
        "read": {"a.tsv": 1400, "b.tsv": 300},
        "faults": {"2 columns": 1000, "blank": 1},
        "dropped": {"duplicate": 30, "ratio": 6},
    }
    assert list(report.as_dict()["read"]) == ["a.tsv", "b.tsv"]
    assert BitextReport("fi").line() == "fi: 0 of 0 pairs; dropped: none; skipped: none"


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("a", "b"), True),
        (("b", "a"), True),
        (("a", "a"), False),
        (("A", "a"), False),
        (("a", "A\u200b"), False),
    ],
)
def test_a_copy_is_equal_except_for_case_and_invisible_characters(pair, expected):
    assert kept(pair, drop_copies=True) == expected
    assert kept(pair)


def test_filters_with_scripts_can_be_hashed():
    """Corpora are kept by their settings."""
    filters = [BitextFilters(scripts={"tt": code}) for code in ("Latn", "Latn", "Cyrl")]
    assert hash(filters[0]) == hash(filters[1])
    assert (filters[0] == filters[1], filters[0] == filters[2]) == (True, False)
