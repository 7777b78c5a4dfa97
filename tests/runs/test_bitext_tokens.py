"""A bitext's tokens in the store: cut once, by whoever comes first, and whole whenever a builder is killed."""

import multiprocessing
import shutil
import time

import numpy as np
import pytest

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.encoders.backbones import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder, TokenEncoderSettings
from optical_sweeps.runs.shared import bitext_tokens as stored_tokens
from optical_sweeps.runs.shared.bitext_tokens import StoredTokens, key_of

TEXTS = tuple(f"red cat {number} dog's house" * (1 + number % 3) for number in range(300))
KILLS = 50


def make_encoder(**settings: object) -> TokenEncoder:
    backbone = TinyBackbone(layers=1, hidden_size=8, heads=1).build(TEXTS)
    return TokenEncoder(backbone, TokenEncoderSettings(dim=4, **settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def encoder() -> TokenEncoder:
    return make_encoder()


def same(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("ids", "mask", "offsets"))


@pytest.mark.parametrize("side", ["query", "document"])
def test_stored_tokens_are_those_cut_at_once(encoder, tmp_path, monkeypatch, side):
    monkeypatch.setattr(stored_tokens, "STRETCH", 7)
    tokens = StoredTokens(ArtifactStore(tmp_path))
    assert same(tokens(encoder, TEXTS, side), encoder.tokenize_texts(TEXTS, side))
    assert tokens.built["tokens"] > 0
    again = StoredTokens(ArtifactStore(tmp_path))
    assert same(again(encoder, TEXTS, side), encoder.tokenize_texts(TEXTS, side))
    assert again.built == {}


def test_a_key_is_of_what_tokens_depend_on(encoder):
    key = key_of(encoder, TEXTS, "query")
    assert key_of(make_encoder(seed=3), TEXTS, "query") == key
    others = [
        key_of(encoder, TEXTS, "document"),
        key_of(encoder, TEXTS[:-1], "query"),
        key_of(make_encoder(query_length=12), TEXTS, "query"),
        key_of(make_encoder(query_prefix="q: "), TEXTS, "query"),
    ]
    assert all(other != key for other in others)


def _build(root: str, encoder: TokenEncoder, pause: float) -> None:
    stored_tokens.STRETCH = 10
    StoredTokens(ArtifactStore(root), lambda: time.sleep(pause))(encoder, TEXTS, "query")


def test_kills_leave_a_store_that_the_next_run_completes(encoder, tmp_path):
    """Two builders at a time, killed at random; whatever stands is right, and is removed to be built again."""
    context = multiprocessing.get_context("fork")
    rng = np.random.default_rng(0)
    expected = encoder.tokenize_texts(TEXTS, "query")
    store, built, cut_off = ArtifactStore(tmp_path), 0, 0
    for _ in range(KILLS // 2):
        builders = [context.Process(target=_build, args=(str(tmp_path), encoder, 0.002)) for _ in range(2)]
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
            assert same(StoredTokens(store)(encoder, TEXTS, "query"), expected)
            shutil.rmtree(entries[0].folder)
    assert cut_off
    assert same(StoredTokens(store)(encoder, TEXTS, "query"), expected)
    assert [entry.problem for entry in store.verify()] == [None]
    store.prune()
    assert list(tmp_path.glob("tokens/.*.tmp-*")) == []
