"""The synthetic family: gold alignments, checked word by word, and the effect of each parameter."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora.builders.language_family import (
    CONSONANTS,
    SCRIPTS,
    VOWELS,
    BaseLanguage,
    Daughter,
    DaughterLanguage,
)
from optical_sweeps.corpora.builders.synthetic import SyntheticCorpus
from optical_sweeps.errors import UserError

daughters = st.builds(
    Daughter,
    pairs=st.integers(1, 40),
    cognates=st.floats(0, 1),
    sound_changes=st.sampled_from([0, *range(2, len(CONSONANTS) + 1)]),
    word_order=st.permutations("SVO").map("".join),
    adjective_after_noun=st.booleans(),
    postpositions=st.booleans(),
    fused_determiners=st.floats(0, 1),
    split_words=st.floats(0, 1),
    script=st.sampled_from(sorted(SCRIPTS)),
)


def small(daughter: Daughter, **changes) -> SyntheticCorpus:
    return SyntheticCorpus(**({"daughters": {"xx": daughter}, "lexicon_size": 60, "topics": 20} | changes))


@given(daughters, st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_alignments_link_every_word_of_both_sides(daughter, seed):
    corpus = small(daughter, seed=seed)
    bitext, alignments = corpus.bitext("xx"), corpus.alignments("xx")
    assert len(alignments) == len(bitext) == daughter.pairs
    for english, translation, links in zip(bitext.english, bitext.translations, alignments, strict=True):
        assert {i for i, _ in links} == set(range(len(translation.split())))
        assert {j for _, j in links} == set(range(len(english.split())))
        assert list(links) == sorted(set(links))


@given(daughters, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_aligned_words_are_translations_of_each_other(daughter, seed):
    """Word by word through the lexicon: an aligned word is a form of its English word, or ends in one."""
    corpus = small(daughter, seed=seed)
    language = DaughterLanguage("xx", BaseLanguage(60, 1.0, seed), daughter)
    forms = {language.base.form(lexeme): language.forms(lexeme) for lexeme in language.base.lexemes}
    bitext = corpus.bitext("xx")
    for english, translation, links in zip(
        bitext.english, bitext.translations, corpus.alignments("xx"), strict=True
    ):
        words, english_words = translation.split(), english.split()
        for i, j in links:
            own = forms[english_words[j]]
            fused = [other for other, k in links if other == i and k != j]
            assert words[i] in own or (fused and any(form in words[i] for form in own))


def test_a_daughter_without_differences_is_the_base():
    daughter = Daughter(pairs=50, cognates=1.0, sound_changes=0)
    bitext, alignments = small(daughter).bitext("xx"), small(daughter).alignments("xx")
    assert bitext.translations == bitext.english
    for sentence, links in zip(bitext.english, alignments, strict=True):
        assert links == tuple((i, i) for i in range(len(sentence.split())))


def test_word_order_is_a_permutation_of_the_words():
    plain = Daughter(pairs=200, cognates=1.0, sound_changes=0)
    inverted = replace(plain, word_order="OVS", adjective_after_noun=True, postpositions=True)
    bitext, alignments = small(inverted).bitext("xx"), small(inverted).alignments("xx")
    for english, translation, links in zip(bitext.english, bitext.translations, alignments, strict=True):
        assert [english.split()[j] for _, j in links] == translation.split()
    assert sum(e != t for e, t in zip(bitext.english, bitext.translations, strict=True)) > 190


def test_fertility_fuses_and_splits_words():
    plain = Daughter(pairs=100)
    words = {
        name: sum(len(text.split()) for text in small(daughter).bitext("xx").translations)
        for name, daughter in {
            "plain": plain,
            "fused": replace(plain, fused_determiners=1.0),
            "split": replace(plain, split_words=1.0),
        }.items()
    }
    english = small(plain).bitext("xx").english
    assert words["plain"] == sum(len(text.split()) for text in english)
    assert words["fused"] < words["plain"] < words["split"]
    # every determiner is an ending when all nouns fuse: one word fewer for each two-to-one link
    fusing = small(replace(plain, fused_determiners=1.0))
    shared = sum(len(links) - len({i for i, _ in links}) for links in fusing.alignments("xx"))
    assert words["plain"] - words["fused"] == shared > 0


@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_shares_of_cognates_are_exact_and_nested(one, other):
    base = BaseLanguage(200, 1.0, seed=3)

    def cognates(share: float) -> set:
        language = DaughterLanguage("xx", base, Daughter(cognates=share, sound_changes=0))
        return {lexeme for lexeme in base.lexemes if language.forms(lexeme) == (base.form(lexeme),)}

    less, more = (cognates(share) for share in sorted((one, other)))
    assert less <= more or len(less - more) <= 2  # a new word may equal the old one by chance
    assert abs(len(more) - max(one, other) * len(base.lexemes)) <= 3


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_scripts_have_distinct_letters(script):
    assert len(set(SCRIPTS[script])) == len(SCRIPTS[script]) == len(CONSONANTS + VOWELS)


def test_sound_changes_keep_words_distinct():
    base = BaseLanguage(400, 1.0, seed=0)
    language = DaughterLanguage("xx", base, Daughter(cognates=1.0, sound_changes=len(CONSONANTS)))
    forms = {language.forms(lexeme) for lexeme in base.lexemes}
    assert len(forms) == len(base.lexemes) == len({base.form(lexeme) for lexeme in base.lexemes})


def test_words_follow_zipf():
    corpus = SyntheticCorpus(daughters={"xx": {"pairs": 3000}})
    counts: dict[str, int] = {}
    for text in corpus.bitext("xx").english:
        counts[text.split()[-1]] = counts.get(text.split()[-1], 0) + 1
    ranked = sorted(counts.values(), reverse=True)
    assert ranked[0] > 1.3 * ranked[1] > 1.3 * ranked[3]


def test_a_pair_has_the_same_english_sentence_in_every_language():
    corpus = SyntheticCorpus()
    longest = max((corpus.bitext(language).english for language in corpus.languages), key=len)
    for language in corpus.languages:
        english = corpus.bitext(language).english
        assert english == longest[: len(english)]


def test_no_topic_of_dev_or_test_is_seen_in_training():
    corpus = SyntheticCorpus()
    held_out = {
        " ".join(query.split("-")[:2])
        for split in ("dev", "test")
        for query in corpus.collection("near", split).queries.ids
    }
    train = {pair.concept for pair in corpus.relevant_pairs()}
    assert held_out
    assert train
    assert not held_out & train
    seen = corpus.bitext("near").english
    for topic in held_out:
        assert not any(f" {topic} " in f" {sentence} " for sentence in seen)


def test_the_document_itself_is_graded_above_its_topic():
    corpus = SyntheticCorpus()
    documents = dict(zip(corpus.documents().ids, corpus.documents().texts, strict=True))
    collection = corpus.collection("distant", "test")
    for query, grades in collection.qrels.items():
        own = query.removeprefix("distant-")
        topic = own.rsplit("-", 1)[0].replace("-", " ")
        assert grades[own] == 2
        assert sorted(grades.values()) == [1] * (len(grades) - 1) + [2]
        assert set(grades) == {
            id_ for id_, text in documents.items() if id_.rsplit("-", 1)[0].replace("-", " ") == topic
        }
        assert all(topic in documents[document] for document in grades)


def test_every_document_is_in_one_split():
    corpus = SyntheticCorpus()
    queries = [len(corpus.collection("near", split).queries) for split in ("dev", "test")]
    assert sum(queries) + len(corpus.relevant_pairs()) == len(corpus.documents()) == 150 * 4


def test_settings_and_seed_determine_the_corpus():
    plain = {"daughters": {"near": {}}, "topics": 20, "lexicon_size": 60}
    changes = [
        {},
        {"seed": 1},
        {"topics": 21},
        {"lexicon_size": 80},
        {"dev_fraction": 0.5},
        {"zipf_exponent": 0.5},
        {"documents_per_topic": 2},
        {"daughters": {"near": {"cognates": 0.7}}},
        {"daughters": {"nearer": {}}},
    ]
    assert SyntheticCorpus(**plain).fingerprint() == SyntheticCorpus(**plain).fingerprint()
    assert len({SyntheticCorpus(**(plain | change)).fingerprint() for change in changes}) == len(changes)


def test_the_default_family_is_pinned():
    assert SyntheticCorpus().fingerprint() == PINNED


PINNED = "fa8fe5bcb1d0397f13e399efc2d44ee5"
"""Run identities depend on these texts: a change here needs a new schema version."""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"daughters": {}}, "data.daughters: not a mapping"),
        ({"daughters": ["near"]}, "data.daughters: not a mapping"),
        ({"daughters": {"en": {}}}, "data.daughters: 'en' cannot be"),
        ({"daughters": {"far": 3}}, "data.daughters.far: 3 is not a mapping"),
        (
            {"daughters": {"far": {"cognate": 1}}},
            "data.daughters.far.cognate: no such key; the keys are pairs",
        ),
        ({"daughters": {"far": {"cognates": 2}}}, "data.daughters.far.cognates: 2 is not a number in [0, 1]"),
        ({"daughters": {"far": {"pairs": 0}}}, "data.daughters.far.pairs: 0"),
        (
            {"daughters": {"far": {"word_order": "SV"}}},
            "data.daughters.far.word_order: 'SV' is not one of SVO",
        ),
        ({"daughters": {"far": {"script": "runic"}}}, "data.daughters.far.script: 'runic'"),
        (
            {"daughters": {"far": {"postpositions": 1}}},
            "data.daughters.far.postpositions: 1 is neither true nor false",
        ),
        (
            {"daughters": {"far": {"sound_changes": 16}}},
            "data.daughters.far.sound_changes: 16 is not a whole number in [0, 15]",
        ),
        ({"daughters": {"far": {"sound_changes": 1}}}, "data.daughters.far.sound_changes: one consonant"),
        ({"lexicon_size": 5}, "data.lexicon_size: 5"),
        ({"topics": 401}, "data.topics: 401"),
        ({"zipf_exponent": 3}, "data.zipf_exponent: 3"),
        ({"test_fraction": 0.9}, "data.dev_fraction and data.test_fraction"),
        ({"seed": -1}, "data.seed: -1"),
    ],
)
def test_bad_settings_name_their_key(settings, message):
    with pytest.raises(UserError) as error:
        SyntheticCorpus(**settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_unconfigured_languages_and_empty_splits_are_refused():
    with pytest.raises(UserError, match=r"data\.daughters: 'xx' is requested"):
        SyntheticCorpus().alignments("xx")
    with pytest.raises(UserError, match=r"data\.dev_fraction: no topic falls into dev"):
        SyntheticCorpus(dev_fraction=0).collection("near", "dev")
