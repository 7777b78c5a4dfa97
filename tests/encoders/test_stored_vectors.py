"""Vectors on disk are bit-identical to those that `encode` returns."""

import signal

import numpy as np
import pytest

from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.stored_vectors import load_vectors, write_vectors
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interrupted, interruptible

TEXTS = [f"red cat {number}" + " dog" * (number * 7 % 11) for number in range(150)]


@pytest.mark.parametrize("side", ["query", "document"])
@pytest.mark.parametrize("augment", [False, True])
def test_stored_vectors_equal_those_of_encode(tmp_path, side, augment):
    backbone = TinyBackbone(layers=1, hidden_size=8, heads=1).build(TEXTS)
    encoder = TokenEncoder(backbone, TokenEncoderSettings(dim=4, query_augmentation=augment))
    reports: list[tuple[int, int]] = []
    write_vectors(tmp_path, encoder, TEXTS, side, lambda done, total: reports.append((done, total)))
    stored, direct = load_vectors(tmp_path), encoder.encode(TEXTS, side)
    np.testing.assert_array_equal(stored.vectors, direct.vectors)
    np.testing.assert_array_equal(stored.offsets, direct.offsets)
    assert reports == [(64, 150), (128, 150), (150, 150)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["offsets.npy", "vectors.npy"]


@pytest.mark.parametrize("side", ["query", "document"])
def test_texts_tokenized_in_stretches_give_the_same_vectors_and_can_be_stopped_early(
    tmp_path, monkeypatch, side
):
    backbone = TinyBackbone(layers=1, hidden_size=8, heads=1).build(TEXTS)
    encoder = TokenEncoder(backbone, TokenEncoderSettings(dim=4))
    whole = encoder.encode(TEXTS, side)
    monkeypatch.setattr("optical_sweeps.encoders.token_encoder.STRETCH", 40)
    reports: list[tuple[int, int]] = []
    write_vectors(tmp_path, encoder, TEXTS, side, lambda done, total: reports.append((done, total)))
    np.testing.assert_array_equal(load_vectors(tmp_path).vectors, whole.vectors)
    np.testing.assert_array_equal(load_vectors(tmp_path).offsets, whole.offsets)
    assert reports == [(0, 150)] * 3 + [(64, 150), (128, 150), (150, 150)]

    monkeypatch.setattr(TokenEncoder, "_encode_batch", lambda *_: pytest.fail("went on after SIGTERM"))
    with interruptible() as interruption:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            encoder.encode(TEXTS, side, progress=interruption.checked(lambda done, total: None))


def test_no_texts_are_stored_as_no_vectors(tmp_path):
    backbone = TinyBackbone(layers=1, hidden_size=8, heads=1).build(TEXTS)
    write_vectors(tmp_path, TokenEncoder(backbone, TokenEncoderSettings(dim=4)), [], "query")
    assert load_vectors(tmp_path).vectors.shape == (0, 4)
