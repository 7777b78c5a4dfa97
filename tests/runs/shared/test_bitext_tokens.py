"""Stored tokens equal direct tokenisation, and their key covers what they depend on."""

import numpy as np
import pytest

from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs.shared.bitext_tokens import BitextTokens, StoredTokens
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds

TEXTS = tuple(f"red cat {number} dog's house" * (1 + number % 3) for number in range(300))


def make_encoder(**settings: object) -> TokenEncoder:
    backbone = TinyBackbone(layers=1, hidden_size=8, heads=1).build(TEXTS)
    return TokenEncoder(backbone, TokenEncoderSettings(dim=4, **settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def encoder() -> TokenEncoder:
    return make_encoder()


@pytest.mark.parametrize("side", ["query", "document"])
def test_stored_tokens_equal_direct_tokenization(encoder, tmp_path, side):
    expected = encoder.tokenize_texts(TEXTS, side)
    for texts in (TEXTS[100:], TEXTS, TEXTS):
        tokens = StoredTokens(ArtifactBuilds.at(tmp_path))
        stored = tokens(encoder, texts, side)
    assert tokens.builds.seconds == {}
    taken = stored.take(range(len(TEXTS)))
    for name in ("ids", "mask", "offsets"):
        assert np.array_equal(getattr(taken, name), getattr(expected, name))
    assert (stored.lengths == expected.lengths).all()


def test_the_key_covers_what_tokens_depend_on(encoder):
    key = BitextTokens(encoder, "query").key()
    assert BitextTokens(make_encoder(seed=3), "query").key() == key
    others = [
        BitextTokens(encoder, "document"),
        BitextTokens(make_encoder(query_length=12), "query"),
        BitextTokens(make_encoder(query_prefix="q: "), "query"),
    ]
    assert all(other.key() != key for other in others)
