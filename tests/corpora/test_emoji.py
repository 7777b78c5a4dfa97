"""The emoji corpus: its texts, and that training sees nothing of dev or test."""

import itertools
import sys

import emoji
import pytest

from optical_sweeps.corpora.builders.emoji import LANGUAGES, EmojiCorpus, base_sequence, identity_of
from optical_sweeps.errors import UserError

COOK, WOMAN_COOK, FEMALE, FACING_RIGHT = "1f9d1-200d-1f373", "1f469-200d-1f373", "2640-fe0f", "27a1-fe0f"


@pytest.fixture(scope="module")
def corpus() -> EmojiCorpus:
    return EmojiCorpus()


def symbol(*code_points: str) -> str:
    return "".join(chr(int(code, 16)) for code in "-".join(code_points).split("-"))


def test_every_emoji_without_skin_tone_is_a_document(corpus):
    documents = corpus.documents()
    expected = {
        text
        for text, names in emoji.EMOJI_DATA.items()
        if names["status"] == emoji.STATUS["fully_qualified"]
        and not any("\U0001f3fb" <= c <= "\U0001f3ff" for c in text)
    }
    assert {symbol(id_) for id_ in documents.ids} == expected
    assert len(documents) == len(expected) >= 1923
    assert documents.language == "en"
    assert all(text == text.strip() and "_" not in text for text in documents.texts)


def test_known_texts(corpus):
    texts = dict(zip(corpus.documents().ids, corpus.documents().texts, strict=True))
    assert texts["1f3c4-200d-2640-fe0f"] == "woman surfing, surfing woman"
    assert texts["1f1e6-1f1ee"] == "Anguilla, flag for Anguilla"  # the alias `anguilla` says nothing new
    assert texts["1f44d"] == "thumbs up, thumbsup, +1"
    assert texts["1f461"] == "woman’s sandal, sandal"
    german = dict(zip(corpus.bitext("de").english, corpus.bitext("de").translations, strict=True))
    assert "1st place medal" not in german or german["1st place medal"] == "goldmedaille"


@pytest.mark.parametrize("language", LANGUAGES)
def test_splits_cover_the_emoji_once_and_share_no_concept(corpus, language):
    documents, ids = dict(zip(corpus.documents().ids, corpus.documents().texts, strict=True)), {}
    for split in ("dev", "test"):
        ids[split] = set(corpus.collection(language, split).queries.ids)
    held_out = ids["dev"] | ids["test"]
    ids["train"] = documents.keys() - held_out
    assert len(ids["dev"]) + len(ids["test"]) + len(corpus.bitext(language)) == len(documents)
    assert 0.6 < len(corpus.bitext(language)) / len(documents) < 0.8

    def words(split: str) -> set[str]:
        return {identity_of(text) for id_ in ids[split] for text in documents[id_].split(", ")}

    def sequences(split: str) -> set[str]:
        return {base_sequence(symbol(id_)) for id_ in ids[split]}

    for one, other in itertools.combinations(ids, 2):
        assert not words(one) & words(other)
        assert not sequences(one) & sequences(other)


def test_training_texts_come_only_from_train_emoji(corpus):
    names = {
        text.split(", ")[0]: id_
        for id_, text in zip(corpus.documents().ids, corpus.documents().texts, strict=True)
    }
    held_out = {query for split in ("dev", "test") for query in corpus.collection("ar", split).queries.ids}
    train = {names[name] for name in corpus.bitext("ar").english}
    assert not train & held_out
    held_out_texts = {
        identity_of(text)
        for id_, document in zip(corpus.documents().ids, corpus.documents().texts, strict=True)
        if id_ in held_out
        for text in document.split(", ")
    }
    for pair in corpus.relevant_pairs():
        assert identity_of(pair.query) not in held_out_texts
        assert not held_out_texts & {identity_of(text) for text in pair.document.split(", ")}
        assert identity_of(pair.query) not in {identity_of(text) for text in pair.document.split(", ")}
    assert len(corpus.relevant_pairs()) > 500


def test_no_translation_of_a_held_out_emoji_is_in_the_bitext(corpus):
    for language in LANGUAGES:
        seen = {text.casefold() for text in corpus.bitext(language).translations}
        for split in ("dev", "test"):
            assert not seen & {text.casefold() for text in corpus.collection(language, split).queries.texts}


def test_an_emoji_is_graded_above_its_variants(corpus):
    collections = [corpus.collection("ko", split) for split in ("dev", "test")]
    graded = 0
    for collection in collections:
        assert set(collection.qrels) == set(collection.queries.ids)
        for query, grades in collection.qrels.items():
            own = query.removeprefix("ko-")
            assert grades[own] == 2
            assert all(grade == 1 for other, grade in grades.items() if other != own)
            graded += len(grades) > 1
    assert graded > 50


def test_bitext_pairs_are_the_same_emoji_in_every_language(corpus):
    english = {language: corpus.bitext(language).english for language in LANGUAGES}
    assert len(set(english.values())) == 1
    names = dict(zip(english["fr"], corpus.bitext("fr").translations, strict=True))
    sample = next(iter(names))
    data = next(d for d in emoji.EMOJI_DATA.values() if d["en"].strip(":").replace("_", " ") == sample)
    assert names[sample] == data["fr"].strip(":").replace("_", " ")


@pytest.mark.parametrize(
    "variants",
    [
        ("1f9d1-200d-1f373", "1f468-200d-1f373", "1f469-1f3fd-200d-1f373"),  # cooks
        ("1f3c3", "1f3c3-200d-2640-fe0f", "1f3c3-200d-2642-fe0f-200d-27a1-fe0f", "1f3c3-1f3ff"),  # running
        ("1f468-200d-1f9bc-200d-27a1-fe0f", "1f9d1-200d-1f9bc"),  # in a wheelchair, facing right or not
        ("1f46a", "1f468-200d-1f469-200d-1f467-200d-1f466", "1f9d1-200d-1f9d2"),  # families
        ("1f48f", "1f468-200d-2764-fe0f-200d-1f48b-200d-1f468"),  # kisses
        ("1f491", "1f469-200d-2764-fe0f-200d-1f469"),  # couples with heart
        ("1f46b", "1f46c", "1f46d", "1f9d1-200d-1f91d-200d-1f9d1"),  # holding hands
        ("1f468-200d-1f9b0", "1f469-200d-1f9b0"),  # red hair
        ("1f468", "1f469", "1f9d1"),
        ("1f474", "1f475", "1f9d3"),
        ("1f385", "1f936", "1f9d1-200d-1f384"),  # Santa, Mrs. and Mx Claus
        ("1f575-fe0f", "1f575-fe0f-200d-2640-fe0f"),  # detectives
    ],
)
def test_variants_are_one_concept(variants):
    assert len({base_sequence(symbol(variant)) for variant in variants}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1f373", COOK),  # a frying pan is no cook
        ("1f468-200d-1f9b0", "1f468-200d-1f9b1"),  # red and curly hair
        ("1f642-200d-2194-fe0f", "1f642-200d-2195-fe0f"),  # shaking the head, nodding
        (FEMALE, "2642-fe0f"),  # the signs themselves
        (FACING_RIGHT, "2b05-fe0f"),
        ("2764-fe0f-200d-1f525", "2764-fe0f"),  # heart on fire
        ("1f46a", "1f46b"),
        ("1f1e9-1f1ea", "1f1eb-1f1f7"),  # flags
        ("31-fe0f-20e3", "32-fe0f-20e3"),  # keycaps
    ],
)
def test_different_meanings_are_different_concepts(one, other):
    assert base_sequence(symbol(one)) != base_sequence(symbol(other))


def test_concepts_that_share_a_name_are_merged(corpus):
    """The tiger's face has the alias `tiger`, which is the name of another emoji."""
    by_query = {}
    for split in ("dev", "test"):
        by_query |= corpus.collection("es", split).qrels
    for one, other in (("1f405", "1f42f"), ("1f1f9-1f1f7", "1f983")):
        if f"es-{one}" in by_query:
            assert by_query[f"es-{one}"] == {one: 2, other: 1}
        else:
            assert f"es-{other}" not in by_query


def test_the_fingerprint_depends_only_on_settings():
    fingerprint = EmojiCorpus().fingerprint()
    assert EmojiCorpus(languages=list(LANGUAGES)).fingerprint() == fingerprint
    changed = [
        EmojiCorpus(languages=["de"]),
        EmojiCorpus(dev_fraction=0.2),
        EmojiCorpus(test_fraction=0.1),
        EmojiCorpus(split_seed=1),
    ]
    assert len({fingerprint, *(c.fingerprint() for c in changed)}) == 5


def test_fewer_languages_do_not_change_the_split():
    assert EmojiCorpus(languages=["fa"]).bitext("fa") == EmojiCorpus().bitext("fa")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"languages": ["xx"]}, "data.languages: unknown language 'xx'; the emoji package has ar, de, es"),
        ({"languages": ["en"]}, "data.languages: 'en'"),
        ({"languages": []}, "data.languages: the list is empty"),
        ({"dev_fraction": 0.5, "test_fraction": 0.5}, "data.dev_fraction and data.test_fraction"),
        ({"test_fraction": -1}, "data.test_fraction: -1"),
        ({"split_seed": "one"}, "data.split_seed: 'one'"),
    ],
)
def test_bad_settings_name_their_key(settings, message):
    with pytest.raises(UserError) as error:
        EmojiCorpus(**settings)
    assert str(error.value).startswith(message)


def test_unconfigured_languages_and_empty_splits_are_refused():
    corpus = EmojiCorpus(languages=["de"], dev_fraction=0)
    with pytest.raises(UserError, match=r"data\.languages: 'fr' is requested"):
        corpus.bitext("fr")
    with pytest.raises(UserError, match=r"data\.languages: 'fr' is requested"):
        corpus.collection("fr", "test")
    with pytest.raises(UserError, match=r"data\.dev_fraction: no emoji falls into dev"):
        corpus.collection("de", "dev")


def test_without_the_emoji_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "emoji", None)
    with pytest.raises(UserError, match=r"optical-sweeps\[demo\]"):
        EmojiCorpus()
