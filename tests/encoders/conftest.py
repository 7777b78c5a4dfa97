"""A small encoder and texts in several scripts."""

import pytest

from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder

TEXTS = (
    "red apple",
    "the quick brown fox jumps over the lazy dog",
    "¿dónde está la manzana roja?",
    "แอปเปิ้ลสีแดง",
    "लाल सेब",
    "사과",
    "تفاحة حمراء",
    "りんご、赤い。",
    "a, b; c!",
)


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    return TEXTS


def tiny(**settings: object) -> TokenEncoder:
    chosen = {"dim": 16, "query_length": 24, "document_length": 64} | settings
    return build_token_encoder(TokenEncoderSettings(**chosen), TinyBackbone(hidden_size=32), TEXTS)


@pytest.fixture(scope="session")
def make_encoder():
    """Builds a tiny encoder with these settings changed."""
    return tiny


@pytest.fixture(scope="session")
def encoder() -> TokenEncoder:
    """Shared between tests; tests that change it make a copy."""
    return tiny()
