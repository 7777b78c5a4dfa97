"""Words do not depend on how accents are composed, and their spans are correct."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.words import word_spans, words

FORMS = ("NFC", "NFD")
letters = st.text(
    "aé\u0323\u0301 \u212b\u0958\u30ab\u304b\u3099\u304e\u0e01\u0e38\u0e48\ud55c\u11a8\u1025\u102e\u4eac\uf900?"
)


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
        ("ｶﾀｶ", ["ｶﾀ", "ﾀｶ"]),
        ("\U00020bb7\u91ce\u5bb6", ["\U00020bb7\u91ce", "\u91ce\u5bb6"]),
    ],
)
def test_unspaced_scripts_are_divided_into_pairs(text, cut):
    assert words(text) == cut
