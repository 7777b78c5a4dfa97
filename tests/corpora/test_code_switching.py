"""Code-switched training data: which words are replaced, and that draws are reproducible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.code_switching import CodeSwitching
from optical_sweeps.corpora.words import words
from optical_sweeps.errors import UserError

BITEXT = Bitext("fi", ("a red house", "The red, red car!", "nothing"), ("punainen talo", "punainen auto", "ei"))
LEXICON = {"red": {"punainen": 0.7, "punaisen": 0.3}, "house": {"talo": 1.0}, "car": {"auto": 1.0}}


def test_every_known_word_is_replaced_at_a_share_of_one():
    switched = CodeSwitching(share=1.0).switched(BITEXT, {"red": {"punainen": 1.0}, "car": {"auto": 1.0}}, 1)
    assert tuple(switched.translations) == ("a punainen house", "The punainen, punainen auto!", "nothing")
    assert switched.english == BITEXT.english


def test_a_name_that_translates_to_itself_keeps_its_capitals():
    bitext = Bitext("fi", ("GNU red",), ("x",))
    lexicon = {"gnu": {"gnu": 1.0}, "red": {"punainen": 1.0}}
    assert tuple(CodeSwitching(share=1.0).switched(bitext, lexicon, 1).translations) == ("GNU punainen",)


def test_the_other_side_and_a_share_of_zero():
    reverse = CodeSwitching(share=1.0, side="translation")
    switched = reverse.switched(BITEXT, {"talo": {"house": 1.0}}, 1)
    assert tuple(switched.translations) == ("punainen house", "punainen auto", "ei")
    assert CodeSwitching(share=0.0).switched(BITEXT, LEXICON, 1).translations[:] == list(BITEXT.english)


def test_replacements_in_unspaced_scripts_are_set_apart():
    bitext = Bitext("ja", ("x",), ("東京都の",))
    switched = CodeSwitching(share=1.0, side="translation").switched(bitext, {"京都": {"Kyoto": 1.0}}, 1)
    assert tuple(switched.translations) == ("東 Kyoto の",)


@given(st.integers(0, 2**31), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_replaces_what_a_smaller_one_does(seed, one, other):
    few, many = sorted([one, other])
    sentence = "red house car " * 8
    bitext = Bitext("fi", (sentence,), ("x",))
    less, more = (
        words(CodeSwitching(share=share).switched(bitext, LEXICON, seed).translations[0])
        for share in (few, many)
    )
    for before, after, plain in zip(less, more, words(sentence), strict=True):
        assert before in (plain, after)


def test_draws_depend_on_seed_and_pair():
    settings = CodeSwitching(share=0.5)
    longer = Bitext("fi", (*BITEXT.english, "red red red red"), (*BITEXT.translations, "x"))
    once = settings.switched(longer, LEXICON, 3).translations[:]
    assert settings.switched(longer, LEXICON, 3).translations[:] == once
    assert settings.switched(BITEXT, LEXICON, 3).translations[:] == once[:3]
    seeds = {tuple(settings.switched(longer, LEXICON, seed).translations) for seed in range(8)}
    assert len(seeds) > 1


def test_a_lexicon_of_files_in_both_directions(tmp_path):
    (tmp_path / "fi.txt").write_text("talo\thouse\nkoti\thouse\nauto\tcar\n", encoding="utf-8")
    files = str(tmp_path / "{language}.txt")
    assert CodeSwitching(lexicon=files).read("fi") == {
        "house": {"talo": 0.5, "koti": 0.5},
        "car": {"auto": 1.0},
    }
    assert CodeSwitching(lexicon=files, side="translation").read("fi")["koti"] == {"house": 1.0}
    before = CodeSwitching(lexicon=files).fingerprint(("fi",))
    (tmp_path / "fi.txt").write_text("talo\thouse\n", encoding="utf-8")
    assert CodeSwitching(lexicon=files).fingerprint(("fi",)) != before
    assert CodeSwitching().fingerprint(("fi",)) is None


def test_words_of_a_lexicon_match_the_spelling_of_texts(tmp_path):
    """Words are found by their folded form, and written with final sigma and sharp s."""
    lines = {"el": "δρόμος\troad\n", "de": "Straße\troad\n", "fr": "cafe\u0301\troad\n"}
    own = {"el": "Δρόμος", "de": "Straße", "fr": "café"}
    files = str(tmp_path / "{language}.txt")
    for language, line in lines.items():
        (tmp_path / f"{language}.txt").write_text(line, encoding="utf-8")
        bitext = Bitext(language, ("a road",), (f"{own[language]} x",))
        for side, switched in (("translation", "road x"), ("english", f"a {own[language].lower()}")):
            settings = CodeSwitching(share=1.0, side=side, lexicon=files)
            assert tuple(settings.switched(bitext, settings.read(language), 1).translations) == (switched,)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"share": 1.5}, r"training\.code_switching\.share"),
        ({"side": "both"}, r"training\.code_switching\.side"),
        ({"size": 0}, r"training\.code_switching\.size"),
        ({"lexicon": "one.tsv"}, r"training\.code_switching\.lexicon"),
    ],
)
def test_bad_settings_name_their_key(settings, key):
    with pytest.raises(UserError, match=key):
        CodeSwitching(**settings)
