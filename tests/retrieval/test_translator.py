"""Translation with small models that have random weights and the hub's tokenizer files."""

from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.translator import Translator
from tests.support.translation_models import TEXTS, make_m2m100, make_marian, make_nllb


@pytest.fixture(scope="module")
def marian(tmp_path_factory) -> Path:
    """A folder with one model per language pair."""
    root = tmp_path_factory.mktemp("marian")
    make_marian(root / "opus-fi-en")
    return root


@pytest.fixture(scope="module")
def m2m100(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "m2m100"
    make_m2m100(folder)
    return folder


@pytest.fixture(scope="module")
def nllb(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "nllb"
    make_nllb(folder)
    return folder


@pytest.fixture(params=["marian", "m2m100", "nllb"])
def translator(request) -> Translator:
    folder = request.getfixturevalue(request.param)
    name = f"{folder}/opus-{{language}}-en" if request.param == "marian" else str(folder)
    return Translator(name, family=request.param, beams=2, max_tokens=12, batch_size=2)


def test_translations_are_in_order_and_do_not_depend_on_the_batch(translator):
    queries = TEXTS[:3]
    reports: list[tuple[int, int]] = []
    translator.check(["fi"])
    found = translator.translate(queries, "fi", progress=lambda done, total: reports.append((done, total)))
    assert len(found) == 3
    assert reports[-1] == (3, 3)
    assert translator.translate(queries, "fi") == found
    for query, english in zip(queries, found, strict=True):
        assert translator.translate([query], "fi") == [english]
    assert translator.translate(queries[::-1], "fi") == found[::-1]


def test_the_target_language_is_the_first_token(nllb, m2m100):
    import transformers

    for family, folder, code in (("nllb", nllb, "eng_Latn"), ("m2m100", m2m100, "__en__")):
        translator = Translator(str(folder), family=family)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        assert translator._target_token(tokenizer) == tokenizer.convert_tokens_to_ids(code)


def test_fingerprints_depend_on_content_and_settings(m2m100, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(m2m100, copy)
    one, other = Translator(str(m2m100), family="m2m100"), Translator(str(copy), family="m2m100")
    assert one.fingerprint("fi") == other.fingerprint("fi") != one.fingerprint("da")
    assert Translator(str(copy), family="m2m100", beams=1).fingerprint("fi") != one.fingerprint("fi")
    assert Translator(str(copy), family="m2m100", batch_size=1).fingerprint("fi") == one.fingerprint("fi")
    (copy / "vocab.json").write_text("{}")
    changed = Translator(str(copy), family="m2m100")
    assert changed.fingerprint("fi") != one.fingerprint("fi")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "a/b", "family": "opus"}, r"translator\.family"),
        ({"name": "a/{lang}"}, r"translator\.name"),
        ({"name": "a/b", "beams": 0}, r"translator\.beams"),
        ({"name": "a/b", "codes": {"fi": "x"}}, r"translator\.codes"),
    ],
)
def test_invalid_settings_are_reported_with_their_key(settings, message):
    with pytest.raises(UserError, match=message):
        Translator(**settings)


def test_unknown_languages_and_missing_models_are_refused(nllb):
    with pytest.raises(UserError, match=r"NLLB's name of xx is not known here"):
        Translator(str(nllb), family="nllb").check(["xx"])
    Translator(str(nllb), family="nllb", codes={"xx": "fin_Latn"}).check(["xx"])
    with pytest.raises(UserError, match=r"translator\.name: no/such .* is neither a folder nor in the cache"):
        Translator("no/such", family="nllb").check(["fi"])


@pytest.mark.parametrize("has_safetensors", [True, False])
def test_weights_are_downloaded_in_the_format_that_the_hub_has(nllb, tmp_path, monkeypatch, has_safetensors):
    """facebook/nllb-200-distilled-600M and most models of Helsinki-NLP have only PyTorch weights."""
    import shutil
    from types import SimpleNamespace

    import huggingface_hub as hub
    import torch
    from huggingface_hub.utils import filter_repo_objects
    from safetensors.torch import load_file

    upstream, cache = tmp_path / "upstream", tmp_path / "cache"
    shutil.copytree(nllb, upstream)
    torch.save(load_file(upstream / "model.safetensors"), upstream / "pytorch_model.bin")
    if not has_safetensors:
        (upstream / "model.safetensors").unlink()
    files = sorted(path.name for path in upstream.iterdir())
    info = SimpleNamespace(sha="c0ffee", siblings=[SimpleNamespace(rfilename=name) for name in files])

    def download(name, revision, local_files_only=False, allow_patterns=None, ignore_patterns=None, **_):
        if local_files_only:  # what an interrupted download left
            cache.mkdir(exist_ok=True)
            shutil.copy(upstream / "config.json", cache)
        else:
            assert revision == "c0ffee"
            for file in filter_repo_objects(
                files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
            ):
                shutil.copy(upstream / file, cache)
        return str(cache)

    monkeypatch.setattr(hub, "snapshot_download", download)
    monkeypatch.setattr(hub.HfApi, "model_info", lambda self, name, revision, timeout: info)
    options = {"family": "nllb", "beams": 1, "max_tokens": 8}
    assert Translator("owner/model", **options).translate(["punainen talo"], "fi") == Translator(
        str(nllb), **options
    ).translate(["punainen talo"], "fi")
    assert (
        len([name for name in files if (cache / name).exists() and "model" in name and "json" not in name]) == 1
    )


def test_a_missing_package_is_reported(monkeypatch, m2m100):
    import sys

    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(UserError, match=r"pip install optical-sweeps\[translate\]"):
        Translator(str(m2m100), family="m2m100").check(["fi"])
