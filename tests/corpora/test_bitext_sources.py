"""Several sources for a language, counting filters, nested weights, and errors that name their setting."""

import gzip
import importlib.util
import json
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langcodes.data_dicts import LIKELY_SUBTAGS

from optical_sweeps.corpora.bitext_sources import BitextSource, BitextSources, format_of
from optical_sweeps.corpora.filters import BitextFilters
from optical_sweeps.corpora.language_id import Py3LangId
from optical_sweeps.corpora.scripts import is_script, script_share, scripts_of
from tests.support.user_errors import failure

LINES = [
    "The house is red\tTalo on punainen",
    "The house is red\tTalo on punainen",
    "Helsinki\thelsinki",
    "A\tErittäin pitkä lause",
    "Good night\tДоброй ночи",
    "no tab",
    "A cat sleeps\tKissa nukkuu",
]


@pytest.fixture
def tsv(tmp_path):
    path = tmp_path / "en-fi.tsv"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_each_filter_counts_the_pairs_that_it_drops(tsv):
    filters = BitextFilters(min_length=2, max_ratio=2.0, drop_copies=True, min_script_share=0.5)
    sources = BitextSources(sources=[{"files": str(tsv)}], filters=filters, on_fault="skip")
    bitext, report = sources.read("fi")
    assert tuple(bitext.translations) == ("Talo on punainen", "Kissa nukkuu")
    assert report.as_dict() == {
        "kept": 2,
        "read": {str(tsv): 6},
        "faults": {"columns": 1},
        "dropped": {"copy": 1, "duplicate": 1, "length": 1, "script": 1},
    }
    assert report.line().startswith("fi: 2 of 6 pairs; dropped: ")
    json.dumps(report.as_dict())


def test_without_filters_only_duplicates_are_dropped(tsv):
    bitext, report = BitextSources(sources=[{"files": str(tsv)}], on_fault="skip").read("fi")
    assert (len(bitext), dict(report.dropped)) == (5, {"duplicate": 1})


def test_a_fault_is_refused_unless_skipping_is_set(tsv):
    message = failure(lambda: BitextSources(sources=[{"files": str(tsv)}]).read("fi"))
    assert message.startswith(f"{tsv}:6: 1 column where 2 are expected")
    assert message.endswith("or set data.bitexts.on_fault to skip")


GEORGIAN = "\u10d4\u10e0\u10d7\u10d8 \u10e1\u10d8\u10e2\u10e7\u10d5\u10d0"


@pytest.mark.parametrize(
    ("columns", "is_refused"),
    [
        (("one whole sentence", GEORGIAN), False),
        ((GEORGIAN, "one whole sentence"), True),
        (("one whole sentence", "una frase entera"), False),
        ((GEORGIAN, GEORGIAN), False),  # not a question of their order
        (("1 + 1", "2"), False),
    ],
)
def test_swapped_columns_of_two_scripts_are_refused(tmp_path, columns, is_refused):
    path = tmp_path / "ka.tsv"
    path.write_text("".join(f"{columns[0]} {number}\t{columns[1]} {number}\n" for number in range(40)))
    sources = BitextSources(sources=[{"files": str(path)}])
    if is_refused:
        assert failure(lambda: sources.read("ka")) == (
            f"{path}: the columns seem swapped: 0% of the letters of English are Latin, but 100% of those of "
            "ka; put English first"
        )
    else:
        assert len(sources.read("ka")[0]) == 40


def test_duplicates_are_found_across_sources_of_several_formats(tmp_path):
    (tmp_path / "a.en-fi.tsv").write_text("one\tyksi\ntwo\tkaksi\n")
    (tmp_path / "b.en").write_text("two\nthree\n")
    (tmp_path / "b.fi").write_text("kaksi\nkolme\n")
    (tmp_path / "c.fi.jsonl.gz").write_bytes(
        gzip.compress(b'{"source": "four", "t": {"fi": "nelj\xc3\xa4"}}\n')
    )
    (tmp_path / "de.tsv").write_text("five\tf\xfcnf\n")
    sources = BitextSources(
        sources=[
            {"files": str(tmp_path / "a.{pair}.tsv"), "languages": ["fi"]},
            {"files": [str(tmp_path / "b.en"), str(tmp_path / "b.{language}")], "languages": ["fi"]},
            {
                "files": str(tmp_path / "c.{language}.jsonl.gz"),
                "english_field": "source",
                "translation_field": "t.{language}",
                "languages": ["fi"],
            },
            {"files": str(tmp_path / "{language}.tsv"), "languages": ["de"]},
        ]
    )
    bitext, report = sources.read("fi")
    assert tuple(bitext.english) == ("one", "two", "three", "four")
    assert dict(report.dropped) == {"duplicate": 1}
    assert list(report.read.values()) == [2, 2, 1]
    assert tuple(sources.read("de")[0].translations) == ("fünf",)
    assert not sources.has("sv")
    assert failure(lambda: sources.read("sv")) == "data.bitexts.sources: none has bitext of 'sv'; add one"


def test_a_smaller_weight_keeps_a_subset_of_a_larger_one(tmp_path):
    (tmp_path / "fi.tsv").write_text("".join(f"english {i}\tsuomi {i}\n" for i in range(400)))

    def kept(weight, seed=0):
        source = {"files": str(tmp_path / "{language}.tsv"), "weight": weight}
        return list(BitextSources(sources=[source], seed=seed).read("fi")[0].english)

    small, large, more = kept(0.3), kept(0.6), kept(1.3)
    assert set(small) < set(large)
    assert 90 < len(small) < 150
    assert 200 < len(large) < 280
    assert {text for text in more if more.count(text) == 2} == set(small)
    assert kept(2) == [f"english {i // 2}" for i in range(800)]
    assert kept(0.3, seed=1) != small


def test_a_weight_of_zero_keeps_no_pair(tsv):
    message = failure(
        lambda: BitextSources(sources=[{"files": str(tsv), "weight": 0}], on_fault="skip").read("fi")
    )
    assert message.startswith("data.bitexts: no pair remains (fi: 0 of 6 pairs")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sources": {"files": "a"}}, "data.bitexts.sources: {'files': 'a'} is not a list"),
        ({"sources": ["a.tsv"]}, "data.bitexts.sources[0]: 'a.tsv' is not a mapping of settings"),
        ({"sources": [{}]}, "data.bitexts.sources[0].files: give either files, dataset, opus"),
        (
            {"sources": [{"files": "a", "dataset": "b"}]},
            "data.bitexts.sources[0].files: give either files, dataset, opus",
        ),
        (
            {"sources": [{"file": "a"}]},
            "data.bitexts.sources[0].file: no such key; the keys are files, dataset,",
        ),
        (
            {"sources": [{"files": ["a"]}]},
            "data.bitexts.sources[0].files: 1 files; give one file, or two parallel",
        ),
        (
            {"sources": [{"files": "a.{lang}"}]},
            "data.bitexts.sources[0].files: 'a.{lang}' has the unknown placeholder",
        ),
        (
            {"sources": [{"files": "a", "format": "xml"}]},
            "data.bitexts.sources[0].format: 'xml' is not one of auto",
        ),
        (
            {"sources": [{"files": "a", "format": "moses"}]},
            "data.bitexts.sources[0].format: moses needs two files",
        ),
        (
            {"sources": [{"files": ["a", "b"], "format": "tmx"}]},
            "data.bitexts.sources[0].format: tmx is for one file",
        ),
        ({"sources": [{"files": "a", "weight": -1}]}, "data.bitexts.sources[0].weight: -1 is not a number"),
        (
            {"sources": [{"files": "a", "languages": ["en"]}]},
            "data.bitexts.sources[0].languages: 'en' is the teacher's",
        ),
        ({"on_fault": "ignore"}, "data.bitexts.on_fault: 'ignore' is not one of refuse, skip"),
        ({"filters": {"max_len": 3}}, "data.bitexts.filters.max_len: no such key"),
        ({"filters": {"max_ratio": 0.5}}, "data.bitexts.filters.max_ratio: 0.5 is below 1"),
        (
            {"filters": {"max_length": 0}},
            "data.bitexts.filters.max_length: 0 is not a whole number of at least 1",
        ),
        (
            {"filters": {"min_script_share": 2}},
            "data.bitexts.filters.min_script_share: 2 is not a number in [0, 1]",
        ),
        (
            {"filters": {"language_id": "fasttext"}},
            "data.bitexts.filters.language_id: 'fasttext' is not of type LanguageIdentifier",
        ),
        ({"filters": {"drop_copies": 1}}, "data.bitexts.filters.drop_copies: 1 is neither true nor false"),
    ],
)
def test_bad_settings_name_their_key(settings, message):
    assert failure(lambda: BitextSources(**settings)).startswith(message)


def test_a_missing_file_is_named(tmp_path):
    sources = BitextSources(sources=[{"files": str(tmp_path / "{pair}.tsv")}])
    assert failure(lambda: sources.read("de")).startswith(
        f"data.bitexts.sources: de: there is no file {tmp_path}/de-en.tsv; check"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tsv", "tsv"),
        ("a.po", "gettext"),
        ("fi.mo.gz", "gettext"),
        ("x.tmx.zst", "tmx"),
        ("a.ndjson", "jsonl"),
        ("plain", "tsv"),
    ],
)
def test_formats_by_file_name(name, kind):
    assert format_of(Path(name)) == kind


class AlwaysSwedish:
    """Identifies every text as Swedish."""

    def identify(self, text: str) -> tuple[str, float]:
        return "sv", 0.95 if len(text) > 12 else 0.5


def test_a_confident_identifier_drops_pairs(tsv):
    filters = BitextFilters(language_id=AlwaysSwedish())
    bitext, report = BitextSources(sources=[{"files": str(tsv)}], filters=filters, on_fault="skip").read("fi")
    assert tuple(bitext.english) == ("Helsinki", "Good night", "A cat sleeps")
    assert report.dropped["language_id"] == 2


def test_the_identifier_or_how_to_install_it():
    if importlib.util.find_spec("py3langid") is None:
        assert failure(lambda: Py3LangId().identify("text")).endswith("pip install 'py3langid>=0.4'")
    else:
        language, probability = Py3LangId().identify("Das ist ein Haus am See, und der Hund schläft.")
        assert language == "de"
        assert probability > 0.9


def test_the_extra_requires_the_package_that_the_code_names(monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    needed = failure(lambda: Py3LangId().identify("text")).split("'")[1]
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["optional-dependencies"]["languages"] == [needed]


def test_the_hub_or_how_to_install_it(tmp_path):
    (tmp_path / "set").mkdir()
    rows = [{"translation": {"en": "one", "fi": "yksi"}}, {"translation": {"en": "two", "fi": "kaksi"}}]
    (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = BitextSource(
        dataset=str(tmp_path / "set"),
        english_field="translation.en",
        translation_field="translation.{language}",
    )
    if importlib.util.find_spec("datasets") is None:
        assert failure(lambda: BitextSources(sources=[source]).read("fi")).endswith("pip install datasets")
    else:
        assert tuple(BitextSources(sources=[source]).read("fi")[0].translations) == ("yksi", "kaksi")


@pytest.mark.parametrize(
    ("language", "text", "share"),
    [
        ("ru", "Привет", 1.0),
        ("ru", "hello", 0.0),
        ("sr", "Zdravo здраво", 1.0),
        ("ja", "日本のカタカナ", 1.0),
        ("zh", "日本のカ", 0.5),
        ("ar", "مرحبا", 1.0),
        ("hi", "नमस्ते", 1.0),
        ("th", "สวัสดี", 1.0),
        ("ko", "안녕", 1.0),
        ("te", "నమస్తే", 1.0),
        ("bn", "হ্যালো", 1.0),
        ("fi", "hyvää", 1.0),
        ("de", "123 !?", 1.0),
        ("pt-BR", "não", 1.0),
        ("tt", "Йорт зур.", 1.0),
        ("tat", "Йорт зур.", 1.0),
        ("tt-Latn", "Йорт зур.", 0.0),
        ("or", "ଘରଟି ବଡ଼ ।", 1.0),
        ("ory_Orya", "ଘରଟି ବଡ଼ ।", 1.0),
        ("uz", "Уй катта.", 0.0),
        ("uz-Cyrl", "Уй катта.", 1.0),
        ("uz@cyrillic", "Уй катта.", 1.0),
        ("sr-Latn", "здраво", 0.0),
        ("pa", "ਸਤਿ", 1.0),
        ("pa-PK", "پنجابی", 1.0),
        ("dv", "ދިވެހި", 1.0),
        ("bo", "བོད་སྐད", 1.0),
        ("sat", "ᱥᱟᱱᱛᱟᱲᱤ", 1.0),
        ("zh-Hant", "漢字", 1.0),
        ("yue", "廣東話", 1.0),
        ("ja-Latn", "Tōkyō", 1.0),
        ("hy", "բարև ձեզ", 1.0),
        ("mni-Mtei", "ꯃꯩꯇꯩ", 1.0),
    ],
)
def test_scripts_of_languages(language, text, share):
    assert script_share(text, scripts_of(language)) == share


SCRIPTS = ("Latn", "Grek", "Cyrl", "Arab", "Hebr", "Deva", "Hani", "Hira", "Kana", "Hang", "Thai", "Orya")


@given(st.text(max_size=40))
def test_shares_of_all_scripts_add_up_to_at_most_one(text):
    shares = [script_share(text, (script,)) for script in SCRIPTS]
    assert all(0 <= share <= 1 for share in shares)
    if not 1.0 == shares[0] == shares[1]:  # a text without letters
        assert sum(shares) <= 1 + 1e-9
        assert script_share(text, SCRIPTS) == pytest.approx(sum(shares))


def test_every_language_of_unicode_has_a_script():
    """CLDR's likely subtags name a script that Unicode has letters of, for each of its languages."""
    languages = [tag for tag in LIKELY_SUBTAGS if "-" not in tag and tag != "und"]
    assert len(languages) > 500
    assert all(all(map(is_script, scripts_of(language) or ("none",))) for language in languages)


@pytest.mark.parametrize("language", ["xx", "qaa", "und", "not a tag"])
def test_a_language_of_unknown_script_is_refused_before_its_files_are_read(language):
    sources = BitextSources(sources=[{"files": "/no/file"}], filters={"min_script_share": 0.5})
    message = failure(lambda: sources.read(language))
    assert message.startswith(
        f"data.bitexts.filters.min_script_share: the script of {language!r} is unknown; name"
    )


def test_the_scripts_of_a_language_can_be_set(tmp_path):
    (tmp_path / "a.tsv").write_text("one\tber\ntwo\tике\n", encoding="utf-8")
    for language, scripts, kept in (
        ("xx", ["Cyrl"], "ике"),
        ("tt", "Latn", "ber"),
        ("tt", ["Arab", "Cyrl"], "ике"),
    ):
        filters = {"min_script_share": 0.5, "scripts": {language: scripts}}
        sources = BitextSources(sources=[{"files": str(tmp_path / "a.tsv")}], filters=filters)
        assert tuple(sources.read(language)[0].translations) == (kept,)


@pytest.mark.parametrize("scripts", [{"tt": "Latin"}, {"tt": []}, {"tt": ["Zyyy"]}, {"tt": 3}, ["Latn"]])
def test_bad_scripts_name_their_key(scripts):
    message = failure(lambda: BitextSources(filters={"scripts": scripts}))
    assert message.startswith("data.bitexts.filters.scripts: ")


def test_invisible_characters_make_no_new_pair(tmp_path):
    lines = ["a b\tä ö", "a\ufeff b\tä ö", "a b\tä \u200bö", "a  b\ta\u0308 ö", "a b\tÄ ö"]
    (tmp_path / "a.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    bitext, report = BitextSources(sources=[{"files": str(tmp_path / "a.tsv")}]).read("de")
    assert tuple(bitext.translations) == ("ä ö", "Ä ö")
    assert dict(report.dropped) == {"duplicate": 3}


def test_copies_are_found_by_folded_texts(tmp_path):
    (tmp_path / "a.tsv").write_text(
        "Apple\tＡＰＰＬＥ\nISTANBUL\tİstan\u00adbul\none\tyksi\n", encoding="utf-8"
    )
    sources = BitextSources(sources=[{"files": str(tmp_path / "a.tsv")}], filters={"drop_copies": True})
    assert tuple(sources.read("tr")[0].translations) == ("yksi",)


@pytest.mark.parametrize(
    ("identified", "language"), [("pt", "pt_BR"), ("zh", "cmn"), ("no", "nor"), ("de", "deu")]
)
def test_identified_languages_are_compared_as_tags(identified, language):
    class Identifier:
        def identify(self, text):
            return ("en" if text == "one" else identified), 1.0

    tests = BitextFilters(language_id=Identifier()).tests(language)
    assert tests["language_id"]("one", "text")
    assert not tests["language_id"]("one", "one")
