"""Language codes are compared as BCP 47 tags."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langcodes.data_dicts import LIKELY_SUBTAGS

from optical_sweeps.corpora.language_tags import base_language, matches
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.corpora.readers.tmx import tmx_pairs
from optical_sweeps.retrieval.translator import Translator
from tests.support.user_errors import failure


@pytest.mark.parametrize(
    ("code", "requested"),
    [
        ("pt_BR", "pt_BR"), ("PT-br", "pt_BR"), ("por-BR", "pt-BR"), ("pt", "pt_BR"), ("pt-PT", "pt"),
        ("zh_CN", "zh-CN"), ("zh-Hans", "zh_CN"), ("cmn-Hans-CN", "zh"), ("zho_Hant", "zh-TW"),
        ("zh-TW", "zh-Hant"), ("eng", "en"), ("EN-us", "en"),
        ("iw", "he"), ("arb_Arab", "ar"), ("sr@latin", "sr-Latn"),
        ("uz_UZ.UTF-8@cyrillic", "uz-Cyrl"), ("ory", "or"), ("swh", "sw"), ("xx", "XX"), ("de-1996", "de"),
        ("nb", "no"), ("no", "nb"), ("nob_NO", "no"),
    ],
)  # fmt: skip
def test_spellings_and_narrower_tags_match(code, requested):
    assert matches(code, requested)


@pytest.mark.parametrize(
    ("code", "requested"),
    [
        ("pt-PT", "pt_BR"), ("zh", "zh_TW"), ("zh-Hans", "zh-Hant"), ("sr", "sr-Latn"), ("enm", "en"),
        ("nn", "nb"), ("yue", "zh"), ("de", "de-AT"), ("", "en"), ("not a tag", "en"), ("es-MX", "es-419"),
    ],
)  # fmt: skip
def test_other_languages_scripts_and_regions_do_not_match(code, requested):
    assert not matches(code, requested)


@given(st.sampled_from(sorted(LIKELY_SUBTAGS)), st.sampled_from(["lower", "upper", "underscore"]))
def test_every_tag_matches_itself_in_every_spelling(tag, spelling):
    spelt = {"lower": tag.lower(), "upper": tag.upper(), "underscore": tag.replace("-", "_")}[spelling]
    assert matches(spelt, tag)


@given(st.text(max_size=12))
def test_any_text_is_compared_without_an_error(code):
    assert matches(code, code)
    assert isinstance(base_language(code), str)


def tmx(path: Path, *units: dict[str, str]) -> Path:
    body = "".join(
        "<tu>" + "".join(f'<tuv xml:lang="{c}"><seg>{t}</seg></tuv>' for c, t in unit.items()) + "</tu>"
        for unit in units
    )
    path.write_text(f"<tmx><body>{body}</body></tmx>", encoding="utf-8")
    return path


@pytest.mark.parametrize("written", ["pt_BR", "pt-br", "PT-BR", "por_BR", "pt"])
@pytest.mark.parametrize("requested", ["pt_BR", "pt-BR", "pt"])
def test_segments_are_found_by_any_spelling(tmp_path, written, requested):
    path = tmx(tmp_path / "m.tmx", {"en": "bus", written: "ônibus"}, {"en-GB": "cup", written: "xícara"})
    assert list(tmx_pairs(path, requested)) == [("bus", "ônibus"), ("cup", "xícara")]


def test_a_segment_of_the_requested_tag_comes_first(tmp_path):
    path = tmx(tmp_path / "m.tmx", {"en": "bus", "pt": "autocarro", "pt-BR": "ônibus"})
    assert list(tmx_pairs(path, "pt-BR")) == [("bus", "ônibus")]


@pytest.mark.parametrize(("written", "missing"), [("pt-PT", "'pt_BR'"), ("fi", "'pt_BR'")])
def test_a_memory_without_the_language_lists_what_it_has(tmp_path, written, missing):
    (fault,) = tmx_pairs(tmx(tmp_path / "m.tmx", {"en": "a", written: "b"}), "pt_BR")
    assert isinstance(fault, Fault)
    assert fault.message.startswith(
        f"{tmp_path}/m.tmx: no segment in {missing}; the file has en, {written}; name"
    )


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("ko", "kor_Hang"),
        ("pt_BR", "por_Latn"),
        ("fas", "pes_Arab"),
        ("zh-CN", "zho_Hans"),
        ("swh", "swh_Latn"),
    ],
)
def test_translators_know_languages_by_any_code(language, name):
    assert Translator("x", family="nllb")._code(language) == name


def test_a_translator_does_not_know_another_script():
    message = failure(lambda: Translator("x", family="nllb")._code("zh-Hant"))
    assert message.startswith("translator.codes: NLLB's name of zh-Hant is not known here")
