"""Vectors written in stretches are those encoded at once, to the bit."""

import numpy as np
import pytest

from optical_sweeps.encoders import stored_vectors
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.stored_vectors import load_vectors, write_vectors
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder

TEXTS = [f"red cat {number}" + " dog" * (number * 7 % 11) for number in range(150)]


@pytest.mark.parametrize("side", ["query", "document"])
@pytest.mark.parametrize("augment", [False, True])
def test_stretches_change_no_bit(tmp_path, monkeypatch, side, augment):
    monkeypatch.setattr(stored_vectors, "BLOCK_BATCHES", 1)
    backbone = TinyBackbone(layers=1, hidden_size=8, heads=1).build(TEXTS)
    encoder = TokenEncoder(backbone, TokenEncoderSettings(dim=4, query_augmentation=augment))
    told: list[tuple[int, int]] = []
    write_vectors(tmp_path, encoder, TEXTS, side, lambda done, total: told.append((done, total)))
    stored, direct = load_vectors(tmp_path), encoder.encode(TEXTS, side)
    np.testing.assert_array_equal(stored.vectors, direct.vectors)
    np.testing.assert_array_equal(stored.offsets, direct.offsets)
    assert told == [(64, 150), (128, 150), (150, 150)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["offsets.npy", "vectors.npy"]
