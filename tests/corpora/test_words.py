"""Words do not depend on how accents are composed, and their spans are correct."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.words import folded, visible, word_spans, words

FORMS = ("NFC", "NFD")
letters = st.text(
    "aé\u0323\u0301 \u212b\u0958\u30ab\u304b\u3099\u304e\u0e01\u0e38\u0e48\ud55c\u11a8\u1025\u102e\u4eac\uf900?"
)


UNSPACED = regex.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
INVISIBLE = ["\u200d", "\u200c", "\u00ad", "\ufeff", "\u2060", "\ufe0f"]


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@given(st.text() | letters)
def test_composed_and_decomposed_texts_have_the_same_words(text):
    assert words(text) == words(unicodedata.normalize("NFC", text)) == words(nfd(text))
    for form in FORMS:
        written = unicodedata.normalize(form, text)
        assert [word for word, _, _ in word_spans(written)] == words(text)


@given(
    st.lists(st.sampled_from(["が", "ぎ", "京", "é", "việt ", " ", "한", "กุ่", "!"]), max_size=8).map("".join)
)
def test_spans_are_positions_in_the_original_text(text):
    """Each composed letter of these texts is a letter with marks in the decomposed text."""
    whole = [len(nfd(text[:end])) for end in range(len(text) + 1)]
    assert word_spans(nfd(text)) == [(word, whole[a], whole[b]) for word, a, b in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("がぎ", ["がぎ"]),
        (nfd("がぎぐ"), ["がぎ", "ぎぐ"]),
        ("ｶﾀｶ", ["カタ", "タカ"]),
        ("ｶﾞｷﾞ", ["ガギ"]),
        ("\U00020bb7\u91ce\u5bb6", ["\U00020bb7\u91ce", "\u91ce\u5bb6"]),
    ],
)
def test_unspaced_scripts_are_divided_into_pairs(text, cut):
    assert words(text) == cut


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("l'eau can’t", ["l'eau", "can't"]),
        ("3.14 1,000 U.S.A. foo_bar k:a", ["3.14", "1,000", "u.s.a", "foo_bar", "k:a"]),
        ("می‌خواهم", ["میخواهم"]),
        ("co\u00adoperate क\u094d\u200dष", ["cooperate", "क\u094dष"]),
        ("İstanbul ISTANBUL ıstanbul i\u0307stanbul", ["istanbul"] * 4),
        ("\uff21\uff50\uff50\uff4c\uff45 １２３", ["apple", "123"]),
        ("Straße STRASSE ὈΔΥΣΣΕΎΣ ὀδυσσεύς", ["strasse", "strasse", "ὀδυσσεύσ", "ὀδυσσεύσ"]),
        ("foo\u200bbar a\ufeffb", ["foo", "bar", "ab"]),
        ("__ -- ... \u0301", []),
        ("ｱ_x", ["ア", "_x"]),
        ("हिन्दी", ["हिन्दी"]),
    ],
)
def test_words_follow_unicode(text, expected):
    assert words(text) == expected


@given(st.text() | letters)
def test_case_folding_is_idempotent_and_ignores_forms(text):
    """The stability of NFKC_Casefold (Unicode 3.13), and its invariance to every normal form."""
    assert folded(folded(text)) == folded(text)
    assert {folded(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")} == {
        folded(text)
    }


@given(st.text(st.characters(codec="utf-8", exclude_categories=["M"])), st.sampled_from(INVISIBLE), st.data())
def test_an_invisible_character_changes_no_word(text, invisible, data):
    at = data.draw(st.integers(0, len(text)))
    assert words(text[:at] + invisible + text[at:]) == words(text)


@given(st.text())
def test_words_are_the_segments_of_unicode_with_a_letter_or_digit(text):
    spaced = UNSPACED.sub(" ", folded(text.replace("\u200b", " ")))
    segments = [one for one in regex.split(r"(?V1w)\b", spaced) if regex.search(r"[\p{L}\p{N}]", one)]
    assert words(spaced) == segments


def test_visible_differences_remain():
    assert visible("A b") != visible("a b")
    assert visible("\ufeffa\u200b  b\u0301\n") == visible("a b\u0301")
