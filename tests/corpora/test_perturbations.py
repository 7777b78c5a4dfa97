"""Perturbations of queries: laws of every kind on any text, and the changes of each by script."""

import itertools
import unicodedata
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.builders.synthetic import SyntheticCorpus
from optical_sweeps.corpora.collections import Queries
from optical_sweeps.corpora.perturbations import KINDS, parse, perturbed
from optical_sweeps.corpora.perturbations.code_switching import CodeSwitching
from optical_sweeps.corpora.perturbations.keyboards import neighbours
from optical_sweeps.corpora.perturbations.lexicon import (
    check_perturbations,
    estimate_lexicon,
    lexicon_fingerprint,
    lexicon_for,
    read_lexicon,
)
from optical_sweeps.corpora.perturbations.units import clusters, words
from optical_sweeps.corpora.scripts import script_share, scripts_of
from optical_sweeps.errors import UserError

SENTENCES = {
    "fi": "Mikä on Suomen pääkaupunki?",
    "de": "Wo liegt Österreichs höchster Berg?",
    "ru": "Когда родился учёный Йозеф?",
    "uk": "Яка столиця Їжакії?",
    "el": "Ποια είναι η πρωτεύουσα;",
    "he": "מה הִיא בִּירַת ישראל?",
    "ar": "ما هِيَ عاصمة الأردن؟",
    "fa": "پایتخت ایران کجاست؟",
    "hi": "भारत की राजधानी क्या है?",
    "bn": "বাংলাদেশের রাজধানী কী?",
    "te": "భారతదేశ రాజధాని ఏది?",
    "th": "เมืองหลวงของไทยคืออะไร",
    "ko": "한국의 수도는 어디입니까?",
    "ja": "日本の首都はどこですか",
    "zh": "中国的首都在哪里?",
    "ka": "რა არის საქართველოს დედაქალაქი?",
    "vi": "Thủ đô của nước Đức là gì?",
    "sw": "Mji mkuu wa Kenya ni upi?",
}
LEXICON = {"on": "is", "mikä": "what", "когда": "when", "日本": "Japan", "भारत": "India", "ko": "x"}

texts = st.one_of(
    st.sampled_from(sorted(SENTENCES.values())),
    st.text(max_size=40),
    st.text("aä ё\u0301\u0628\u064e\u0915\u093f\u0e01\u0e31한日本か\u3099\u200d?", max_size=20),
)
levels = st.floats(0, 1)
kinds = st.sampled_from(sorted(KINDS))


def perturbation_of(kind: str, level: float):
    return CodeSwitching(level, LEXICON) if kind == "code_switching" else KINDS[kind](level)


def changed(kind: str, level: float, text: str, seed: int = 0, language: str = "fi") -> str:
    queries = Queries(language, (f"q{seed}",), (text,))
    return perturbed(queries, perturbation_of(kind, level), seed).texts[0]


def orphans(text: str) -> int:
    """Marks without a letter."""
    blank = [True, *map(str.isspace, text)]
    return sum(
        before and unicodedata.category(mark)[0] == "M" for before, mark in zip(blank, text, strict=False)
    )


@given(kinds, texts, st.integers(0, 3))
def test_level_0_is_the_identity(kind, text, seed):
    assert changed(kind, 0.0, text, seed) == text


@given(kinds, levels, texts, st.integers(0, 3))
def test_the_same_draws_give_the_same_text(kind, level, text, seed):
    assert changed(kind, level, text, seed) == changed(kind, level, text, seed)


@given(kinds, levels, texts, st.integers(0, 3))
def test_texts_remain_valid(kind, level, text, seed):
    """Valid Unicode, no mark separated from its letter, and never empty."""
    new = changed(kind, level, text, seed)
    new.encode()
    assert orphans(new) <= orphans(text)
    assert bool(new.strip()) == bool(text.strip())


@given(kinds.filter(lambda kind: kind != "word_order"), texts, st.integers(0, 9), levels, levels)
@example("typing", "aa", 0, 0.0, 1.0)
def test_a_higher_level_keeps_the_changes_of_a_lower(kind, text, seed, first, second):
    low, high = sorted((first, second))
    lower, higher = (perturbation_of(kind, level).changes(text, "fi", Random(seed)) for level in (low, high))
    assert lower == higher  # what may change is the same; the level only says how much of it does
    assert all(before.stop <= after.start for before, after in itertools.pairwise(lower))
    assert all(text[one.start : one.stop] != one.text and 0 <= one.threshold < 1 for one in lower)


@given(st.integers(0, 12), st.integers(0, 9), levels, levels)
def test_a_higher_level_continues_the_same_shuffle(count, seed, first, second):
    low, high = sorted((first, second))
    lower, higher = (KINDS["word_order"](level).swaps(count, Random(seed)) for level in (low, high))
    assert higher[: len(lower)] == lower


@given(levels, levels, texts)
def test_truncation_keeps_a_prefix(first, second, text):
    low, high = sorted((first, second))
    assert changed("truncation", low, text).startswith(changed("truncation", high, text))


@given(levels, texts, st.integers(0, 3))
def test_word_order_moves_words_and_nothing_else(level, text, seed):
    def sorted_words(text):
        return sorted(text[start:stop] for start, stop in words(text))

    new = changed("word_order", level, text, seed)
    assert sorted(new) == sorted(text)
    if all(ord(letter) < 0x2000 for letter in text) and "\u0e01" not in text:  # pieces may join anew elsewhere
        assert sorted_words(new) == sorted_words(text)


def test_at_level_1_all_orders_are_equally_likely():
    found = {}
    for seed in range(1200):
        new = changed("word_order", 1.0, "a b c", seed)
        found[new] = found.get(new, 0) + 1
    assert len(found) == 6
    assert all(abs(count - 200) < 65 for count in found.values())  # 5 standard deviations


def test_the_level_is_the_share_of_letters_with_an_error():
    letters = "мир" * 1000
    one_in_five = [
        one for one in perturbation_of("typing", 0.2).changes(letters, "ru", Random(1)) if one.threshold < 0.2
    ]
    assert abs(len(one_in_five) / len(letters) - 0.2 * 7 / 8) < 0.04  # one error in four takes two letters


@pytest.mark.parametrize(("language", "sentence"), SENTENCES.items())
def test_errors_stay_in_the_script(language, sentence):
    scripts = scripts_of(language)
    assert script_share(sentence, scripts) == 1.0
    new = changed("typing", 1.0, sentence, language=language)
    assert new != sentence
    assert script_share(new, scripts) == 1.0


@pytest.mark.parametrize(
    ("letter", "language", "some"),
    [
        ("a", "en", "qwsz"), ("z", "de", "tu"), ("z", "en", "asx"), ("q", "fr", "aw"), ("ж", "ru", "дэ"),
        ("і", "uk", "фв"), ("α", "el", "σζ"), ("ש", "he", "דז"), ("ب", "ar", "يل"), ("ب", "fa", "یل"),
        ("ก", "th", "ดห"), ("क", "hi", "रतख"), ("ক", "bn", "তখর"), ("క", "te", "తఖర"),
        ("한", "ko", "핟함"),
        ("か", "ja", "が"), ("は", "ja", "ばぱ"), ("っ", "ja", "つ"), ("ა", "ka", "ს"), ("é", "vi", "wr"),
    ],
)  # fmt: skip
def test_neighbours(letter, language, some):
    found = neighbours(letter, language)
    assert set(some) <= set(found)
    assert letter not in found
    assert found


def test_neighbours_of_a_syllable_differ_in_one_part():
    parts = [unicodedata.normalize("NFD", other) for other in neighbours("한", "ko")]
    whole = unicodedata.normalize("NFD", "한")
    assert all(sum(a != b for a, b in zip(part, whole, strict=True)) == 1 for part in parts)


def test_han_has_no_neighbouring_keys_but_other_errors():
    assert neighbours("中", "zh") == ()
    assert changed("typing", 1.0, SENTENCES["zh"]) != SENTENCES["zh"]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Mikä on Ångström?", "Mika on Angstrom?"), ("Thủ đô nước Đức", "Thu do nuoc Duc"), ("Łódź", "Lodz"),
        ("учёный Йод", "ученый Йод"), ("за́мок", "замок"), ("πρωτεύουσα", "πρωτευουσα"), ("הִיא", "היא"),
        ("الأُمَّة", "الامة"), ("がっこう", "がっこう"), ("राजधानी", "राजधानी"), ("한국", "한국"),
    ],
)  # fmt: skip
def test_diacritics(text, bare):
    assert changed("diacritics", 1.0, text) == bare


@pytest.mark.parametrize(
    ("text", "roman"),
    [
        ("Когда родился?", "Kogda rodilsya?"), ("Mikä on?", "Mikä on?"), ("東京 2020", "dongjing 2020"),
        ("भारत", "bhart"), ("πόλη", "poli"), ("Kia and Лада", "Kia and Lada"),
    ],
)  # fmt: skip
def test_transliteration(text, roman):
    assert changed("transliteration", 1.0, text) == roman


def test_transliteration_without_its_package_is_refused(monkeypatch):
    monkeypatch.setattr("optical_sweeps.corpora.perturbations.transliteration.find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package anyascii; install"):
        check_perturbations([parse("transliteration@1")], SyntheticCorpus(), ("fi",), None)


def test_code_switching():
    assert changed("code_switching", 1.0, "Mikä on Oulu?") == "what is Oulu?"
    assert changed("code_switching", 1.0, "いま日本の") == "いま Japan の"


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("word", ["việt", "Ångström", "γειά", "がく", "한국"])
def test_a_lexicon_and_a_query_may_compose_accents_differently(tmp_path, word, written):
    """Words of unspaced scripts are looked up in pieces of two letters; this word has two."""
    one, other = (unicodedata.normalize(form, word) for form in (written, "NFD" if written == "NFC" else "NFC"))
    path = tmp_path / "vi.tsv"
    path.write_text(f"{one}\tgreeting\n", encoding="utf-8")
    estimated = estimate_lexicon(Bitext("vi", ("greeting",) * 2, (one,) * 2))
    for lexicon in (read_lexicon(path), estimated):
        for text in (one, other):
            queries = Queries("vi", ("q1",), (f"{text}!",))
            assert perturbed(queries, CodeSwitching(1.0, lexicon), 0).texts == ("greeting!",)


@given(texts)
@example("\u03aa\u0301")  # folds to letters that compose to another
def test_words_outside_the_lexicon_do_not_change(text):
    assert perturbed(Queries("el", ("q1",), (text,)), CodeSwitching(1.0, {}), 0).texts == (text,)


def test_truncation_removes_words_from_the_end():
    text = "one two three four?"
    assert [changed("truncation", level, text) for level in (0.1, 0.25, 0.5, 1.0)] == [
        text, "one two three", "one two", "one",
    ]  # fmt: skip


@given(st.text(max_size=30))
def test_clusters_and_words_are_spans_in_order(text):
    spans = clusters(text)
    assert "".join(text[start:stop] for start, stop in spans) == text
    found = words(text)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))
    assert all(start < stop for start, stop in found)


@pytest.mark.parametrize(
    "text", ["typing", "typing@0", "typing@1.5", "typing@x", "typos@0.1", "@0.1", "typing@nan"]
)
def test_invalid_perturbations_are_refused(text):
    with pytest.raises(UserError, match=r"evaluation\.perturbations: .* is not kind@level"):
        parse(text)


@given(kinds, st.floats(0.001, 1))
def test_a_printed_perturbation_can_be_parsed(kind, level):
    assert str(parse(str(parse(f"{kind}@{level}")))) == str(parse(f"{kind}@{level}"))


# ------------------------------------------------------------------------------------------------ lexicons

sides = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=8
)


@given(st.data(), sides)
def test_the_estimate_is_the_best_by_dice(data, own):
    english = data.draw(
        st.lists(st.sampled_from(["x", "x y", "y z", "z"]), min_size=len(own), max_size=len(own))
    )
    lexicon = estimate_lexicon(Bitext("fi", tuple(english), tuple(own)))
    for word in "abcd":
        scores = {}
        for other in "xyz":
            here = {n for n, text in enumerate(own) if word in text.split()}
            there = {n for n, text in enumerate(english) if other in text.split()}
            if len(here & there) >= 2:
                scores[other] = 2 * len(here & there) / (len(here) + len(there))
        best = max(scores.values(), default=0.0)
        if best < 0.3:
            assert word not in lexicon
        else:
            assert lexicon[word] == min(other for other in scores if scores[other] == best)


def test_the_estimate_finds_gold_translations():
    corpus = SyntheticCorpus()
    bitext, gold = corpus.bitext("near"), corpus.alignments("near")
    lexicon = estimate_lexicon(bitext)
    links = {
        (own.split()[i].casefold(), english.split()[j].casefold())
        for own, english, alignment in zip(bitext.translations, bitext.english, gold, strict=True)
        for i, j in alignment
    }
    assert len(lexicon) > 80
    assert sum(pair in links for pair in lexicon.items()) / len(lexicon) > 0.9


def test_a_lexicon_of_files(tmp_path):
    path = tmp_path / "fi.tsv"
    path.write_text("Talo\thouse\t0.9\ntalo\thome\nauto car\n")
    assert read_lexicon(path) == {"talo": "house", "auto": "car"}
    assert lexicon_for(SyntheticCorpus(), "fi", f"{tmp_path}/{{language}}.tsv") == {
        "talo": "house",
        "auto": "car",
    }
    before = lexicon_fingerprint(f"{tmp_path}/{{language}}.tsv", ("fi",))
    path.write_text("talo\thome\n")
    assert lexicon_fingerprint(f"{tmp_path}/{{language}}.tsv", ("fi",)) != before
    path.write_text("talo\n")
    with pytest.raises(UserError, match=r"fi\.tsv:1: not a word and its English"):
        read_lexicon(path)
    with pytest.raises(UserError, match=r"evaluation\.lexicon: there is no file"):
        read_lexicon(tmp_path / "sv.tsv")


class OnlyCollections:
    """A source of collections without bitext."""

    name, languages = "small", ("fi",)

    def collection(self, language, split):
        raise NotImplementedError


def test_code_switching_without_bitext_is_refused():
    with pytest.raises(
        UserError, match=r"code_switching needs bitext of fi: the data has none; or give"
    ) as error:
        check_perturbations([parse("code_switching@1")], OnlyCollections(), ("fi",), None)
    assert "\n" not in str(error.value)
