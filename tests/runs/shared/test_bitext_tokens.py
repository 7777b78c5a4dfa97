"""Stored tokens: built once, and complete or absent if a builder is killed."""

import multiprocessing
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.runs.shared import bitext_tokens as stored_tokens
from optical_sweeps.runs.shared.bitext_tokens import BitextTokens, StoredTokens
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds

TEXTS = tuple(f"red cat {number} dog's house" * (1 + number % 3) for number in range(300))
KILLS = 50


def make_encoder(**settings: object) -> TokenEncoder:
    backbone = TinyBackbone(layers=1, hidden_size=8, heads=1).build(TEXTS)
    return TokenEncoder(backbone, TokenEncoderSettings(dim=4, **settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def encoder() -> TokenEncoder:
    return make_encoder()


def equal(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("ids", "mask", "offsets"))


@pytest.mark.parametrize("side", ["query", "document"])
def test_stored_tokens_equal_direct_tokenization(encoder, tmp_path, monkeypatch, side):
    monkeypatch.setattr(stored_tokens, "STRETCH", 7)
    tokens = StoredTokens(ArtifactBuilds.at(tmp_path))
    assert equal(tokens(encoder, TEXTS, side), encoder.tokenize_texts(TEXTS, side))
    assert tokens.builds.seconds["tokens"] > 0
    again = StoredTokens(ArtifactBuilds.at(tmp_path))
    assert equal(again(encoder, TEXTS, side), encoder.tokenize_texts(TEXTS, side))
    assert again.builds.seconds == {}


def test_the_key_covers_what_tokens_depend_on(encoder):
    key = BitextTokens(encoder, TEXTS, "query").key()
    assert BitextTokens(make_encoder(seed=3), TEXTS, "query").key() == key
    others = [
        BitextTokens(encoder, TEXTS, "document"),
        BitextTokens(encoder, TEXTS[:-1], "query"),
        BitextTokens(make_encoder(query_length=12), TEXTS, "query"),
        BitextTokens(make_encoder(query_prefix="q: "), TEXTS, "query"),
    ]
    assert all(other.key() != key for other in others)


class Slow(Interruption):
    """Makes a build wait at every check."""

    def check(self) -> None:
        time.sleep(0.002)


def _build(root: Path, encoder: TokenEncoder) -> None:
    stored_tokens.STRETCH = 10
    StoredTokens(ArtifactBuilds.at(root, Slow()))(encoder, TEXTS, "query")


def test_kills_leave_a_store_that_the_next_run_completes(encoder, tmp_path):
    """Two builders at a time are killed at random; finished entries are correct, and are removed again."""
    context = multiprocessing.get_context("fork")
    rng = np.random.default_rng(0)
    expected = encoder.tokenize_texts(TEXTS, "query")
    builds, built, cut_off = ArtifactBuilds.at(tmp_path), 0, 0
    store = builds.store
    for _ in range(KILLS // 2):
        builders = [context.Process(target=_build, args=(tmp_path, encoder)) for _ in range(2)]
        for builder in builders:
            builder.start()
        for builder in builders:
            time.sleep(float(rng.uniform(0.0, 0.15)))
            builder.kill()
            builder.join()
        entries = store.ls()
        assert [entry.problem for entry in entries] in ([], [None])
        built, cut_off = built + len(entries), cut_off + len(list(tmp_path.glob("tokens/.*.tmp-*")))
        if entries:
            assert equal(StoredTokens(builds)(encoder, TEXTS, "query"), expected)
            shutil.rmtree(entries[0].folder)
    assert cut_off
    assert equal(StoredTokens(builds)(encoder, TEXTS, "query"), expected)
    assert [entry.problem for entry in store.verify()] == [None]
    store.prune()
    assert list(tmp_path.glob("tokens/.*.tmp-*")) == []
