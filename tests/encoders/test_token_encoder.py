"""Texts to tokens, tokens to vectors, and their invariants."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_embeddings import normalize
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError

SIDES = ("query", "document")


def tokens_in_mask(encoder: TokenEncoder, text: str, side: str) -> list[str]:
    batch = encoder.tokenize([text], side)
    tokens = encoder.tokenizer.convert_ids_to_tokens(batch.input_ids[batch.mask].tolist())
    return [token.removeprefix("▁") for token in tokens]


# ---------------------------------------------------------------------------------------- tokens, mask


def test_tokens_are_those_of_the_tokenizer(encoder, texts):
    for side, prefix in (("query", "query: "), ("document", "passage: ")):
        batch = encoder.tokenize(texts, side)
        expected = encoder.tokenizer(
            [prefix + text for text in texts],
            padding=True,
            truncation=True,
            max_length=encoder.settings.length(side),
            return_tensors="pt",
        )
        assert torch.equal(batch.input_ids, expected["input_ids"])
        assert torch.equal(batch.attention_mask, expected["attention_mask"])


def test_only_content_takes_part(encoder):
    assert tokens_in_mask(encoder, "red apple", "query") == ["red", "apple"]
    assert tokens_in_mask(encoder, "red, apple!", "query") == ["red", ",", "apple", "!"]
    assert tokens_in_mask(encoder, "red, apple!", "document") == ["red", "apple"]


def test_special_and_prefix_tokens_can_take_part(make_encoder):
    specials = make_encoder(use_special_tokens=True)
    assert tokens_in_mask(specials, "red apple", "query") == ["[CLS]", "red", "apple", "[SEP]"]
    both = make_encoder(use_special_tokens=True, use_prefix_tokens=True, skip_punctuation=False)
    batch = both.tokenize(["red apple", "a, b; c!"], "document")
    assert torch.equal(batch.mask, batch.attention_mask.bool())


def test_prefix_tokens_alone_can_take_part(make_encoder):
    encoder = make_encoder(use_prefix_tokens=True, query_prefix="the fox ")
    assert tokens_in_mask(encoder, "red apple", "query") == ["the", "fox", "red", "apple"]


@pytest.mark.parametrize("mark", ["、", "。", "؟", "।", "‽", "«", "!", "$"])
def test_punctuation_of_any_script_is_skipped_in_documents(mark):
    encoder = build_token_encoder(TokenEncoderSettings(), TinyBackbone(), ["red", mark])
    assert tokens_in_mask(encoder, f"red {mark}", "document") == ["red"]
    assert tokens_in_mask(encoder, f"red {mark}", "query") == ["red", mark]


@pytest.mark.parametrize("text", ["", "   ", "!", ", ; !", "[CLS]", "[PAD] [PAD]", "\u200b", "🫠"])
@pytest.mark.parametrize("side", SIDES)
def test_every_text_keeps_a_token(encoder, text, side):
    tokens = encoder.tokenize_texts([text, "red apple"], side)
    assert tokens.mask[: tokens.offsets[1]].any()
    embeddings = encoder.encode([text], side)
    assert len(embeddings[0]) >= 1
    np.testing.assert_allclose(np.linalg.norm(embeddings[0], axis=1), 1, rtol=1e-5)


def test_long_texts_are_truncated_and_keep_their_end_token(make_encoder):
    encoder = make_encoder(query_length=8, document_length=10)
    for side, length in (("query", 8), ("document", 10)):
        tokens = encoder.tokenize_texts(["red " * 500], side)
        assert tokens.lengths.tolist() == [length]
        assert tokens.ids[-1] == encoder.tokenizer.sep_token_id


def test_augmentation_fills_queries_with_masks_that_take_part(make_encoder):
    encoder = make_encoder(query_augmentation=True)
    batch = encoder.tokenize(["red apple", "사과"], "query")
    assert batch.input_ids.shape == (2, encoder.settings.query_length)
    filled = batch.input_ids == encoder.tokenizer.mask_token_id
    assert torch.equal(filled, ~batch.attention_mask.bool())
    assert batch.mask[filled].all()
    assert encoder.tokenize(["red apple"], "document").input_ids.shape[1] < encoder.settings.document_length


def test_augmentation_tokens_can_be_attended_to(make_encoder):
    silent = make_encoder(query_augmentation=True)
    heard = make_encoder(query_augmentation=True, augmentation_attends=True)
    assert heard.tokenize(["red"], "query").attention_mask.all()
    with torch.inference_mode():
        one, other = (e(e.tokenize(["red apple"], "query")).vectors for e in (silent, heard))
        plain = silent(silent.tokenize(["red apple"], "document")).vectors
    assert plain.shape[1] < one.shape[1]
    assert not torch.allclose(one, other, atol=1e-4)


def test_unattended_augmentation_does_not_change_other_tokens(make_encoder):
    """Tokens that are not attended to cannot change other tokens."""
    plain, augmented = make_encoder(), make_encoder(query_augmentation=True)
    with torch.inference_mode():
        one = plain(plain.tokenize(["red apple"], "query"))
        other = augmented(augmented.tokenize(["red apple"], "query"))
    width = one.mask.shape[1]
    torch.testing.assert_close(other.vectors[:, :width][one.mask], one.vectors[one.mask], atol=1e-5, rtol=0)


def test_padding_and_truncation_of_earlier_tokenizer_calls_are_reset(make_encoder, texts):
    encoder = make_encoder()
    before, written = encoder.tokenize_texts(texts, "query"), fingerprint(encoder)
    encoder.tokenizer(list(texts), padding="max_length", max_length=5, truncation=True)
    assert np.array_equal(before.ids, encoder.tokenize_texts(texts, "query").ids)
    encoder.tokenizer(list(texts), padding=True)
    assert fingerprint(encoder) == written


@given(rows=st.lists(st.integers(0, 8), max_size=12))
@settings(deadline=None)
def test_take_and_collate_agree_with_tokenizing_the_selected_texts(encoder, texts, rows):
    tokens = encoder.tokenize_texts(texts, "document").take(rows)
    direct = encoder.tokenize_texts([texts[row] for row in rows], "document")
    for name in ("ids", "mask", "offsets"):
        np.testing.assert_array_equal(getattr(tokens, name), getattr(direct, name))
    if rows:
        batch = encoder.collate(tokens, "document")
        assert batch.input_ids.shape == (len(rows), tokens.lengths.max())
        assert batch.mask.sum() == tokens.mask.sum()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"query_length": 4}, r"encoder\.query_length: 4 is not in"),
        ({"document_length": 500}, r"encoder\.document_length: 500 is not in"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(make_encoder, changed, named):
    with pytest.raises(UserError, match=named):
        make_encoder(**changed)


@pytest.mark.parametrize("name", ["dim", "query_length", "document_length"])
def test_settings_below_one_are_refused(name):
    with pytest.raises(UserError, match=rf"encoder\.{name}: 0 is not a whole number"):
        TokenEncoderSettings(**{name: 0})


# --------------------------------------------------------------------------------------------- vectors


@pytest.mark.parametrize("side", SIDES)
def test_vectors_have_length_one_where_they_take_part_and_zero_elsewhere(encoder, texts, side):
    embeddings = encoder(encoder.tokenize(texts, side))
    norms = embeddings.vectors.norm(dim=-1)
    torch.testing.assert_close(norms, embeddings.mask.float())


@pytest.mark.parametrize("augment", [False, True])
def test_a_text_alone_and_in_a_batch_gives_the_same_vectors(make_encoder, texts, augment):
    encoder = make_encoder(query_augmentation=augment)
    with torch.inference_mode():
        together = encoder(encoder.tokenize(texts, "query"))
        for row, text in enumerate(texts):
            alone = encoder(encoder.tokenize([text], "query"))
            one, other = alone.vectors[alone.mask], together.vectors[row][together.mask[row]]
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_encode_agrees_with_forward_in_the_given_order(encoder, texts):
    ragged = encoder.encode(texts, "document", batch_size=4)
    assert len(ragged) == len(texts)
    with torch.inference_mode():
        for row, text in enumerate(texts):
            alone = encoder(encoder.tokenize([text], "document"))
            np.testing.assert_allclose(ragged[row], alone.vectors[alone.mask], atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(9)), batch_size=st.integers(1, 10))
def test_encode_is_bit_identical_in_any_order(encoder, texts, order, batch_size):
    given_order = encoder.encode(texts, "query", batch_size)
    shuffled = encoder.encode([texts[i] for i in order], "query", batch_size)
    for row, source in enumerate(order):
        assert np.array_equal(shuffled[row], given_order[source])


def test_encode_reports_progress_and_keeps_the_training_mode(make_encoder, texts):
    encoder = make_encoder().train()
    seen = []
    first = encoder.encode(
        texts, "query", batch_size=4, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(4, 9), (8, 9), (9, 9)]
    assert encoder.training
    assert np.array_equal(first.vectors, encoder.eval().encode(texts, "query", batch_size=4).vectors)


def test_encode_of_no_texts_is_empty(encoder):
    nothing = encoder.encode([], "query")
    assert len(nothing) == 0
    assert nothing.vectors.shape == (0, encoder.settings.dim)


def test_encode_in_mixed_precision_still_gives_unit_vectors_of_float32(encoder, texts):
    with torch.autocast("cpu", torch.bfloat16):
        ragged = encoder.encode(texts, "query")
    assert ragged.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(ragged.vectors, axis=1), 1, rtol=1e-5)


def test_encode_in_bfloat16_is_close_to_float32_in_any_order(encoder, texts):
    exact = encoder.encode(texts, "document")
    lower = encoder.encode(texts, "document", precision="bfloat16")
    assert lower.vectors.dtype == np.float32
    assert not np.array_equal(lower.vectors, exact.vectors)
    np.testing.assert_allclose(np.linalg.norm(lower.vectors, axis=1), 1, rtol=1e-5)
    assert (lower.vectors * exact.vectors).sum(1).min() > 0.999
    backwards = encoder.encode(texts[::-1], "document", precision="bfloat16")
    for row in range(len(texts)):
        assert np.array_equal(backwards[len(texts) - 1 - row], lower[row])


def test_zero_vectors_stay_zero_with_finite_gradients():
    vectors = torch.zeros(2, 3, requires_grad=True)
    normal = normalize(vectors)
    normal.sum().backward()
    assert torch.equal(normal, torch.zeros(2, 3))
    assert torch.isfinite(vectors.grad).all()


def test_a_square_projection_preserves_angles(make_encoder):
    weight = make_encoder(dim=32).projection.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(32), atol=1e-5, rtol=0)


def test_the_encoder_depends_on_its_seed(make_encoder, texts):
    one, same, other = make_encoder(), make_encoder(), make_encoder(seed=1)
    assert np.array_equal(one.encode(texts, "query").vectors, same.encode(texts, "query").vectors)
    assert not torch.equal(one.projection.weight, other.projection.weight)


# -------------------------------------------------------------------------------------------- training


def test_gradients_reach_exactly_the_trainable_parameters(make_encoder, texts):
    encoder = make_encoder().freeze(embeddings=True, layers=1)
    encoder(encoder.tokenize(texts, "query")).vectors[..., 0].sum().backward()
    trainable = encoder.trainable_parameters()
    frozen = set(dict(encoder.named_parameters())) - set(trainable)
    assert all(name.startswith(("backbone.embeddings.", "backbone.encoder.layer.0.")) for name in frozen)
    assert any(".layer.1." in name for name in trainable)
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is not None) == (name in trainable), name


def test_freezing_more_layers_than_exist_is_refused(make_encoder):
    with pytest.raises(UserError, match="freezing 3 layers: the encoder has 2"):
        make_encoder().freeze(layers=3)


def test_a_copy_has_separate_weights_and_the_same_tokenizer(make_encoder, texts):
    teacher = make_encoder().requires_grad_(False)
    before = teacher.encode(texts, "query").vectors
    student = teacher.copy()
    assert student.tokenizer is teacher.tokenizer
    assert np.array_equal(before, student.encode(texts, "query").vectors)
    assert len(student.trainable_parameters()) == len(list(student.parameters()))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.1)
    assert np.array_equal(before, teacher.encode(texts, "query").vectors)


def test_documents_of_punctuation_alone_keep_their_content(encoder):
    """They differ from each other: a text without other tokens keeps its punctuation, not its first token."""
    for text in ("!", ", ; !", "; ; !"):
        assert tokens_in_mask(encoder, text, "document") == tokens_in_mask(encoder, text, "query")
    assert tokens_in_mask(encoder, ", ; !", "document") == [",", ";", "!"]
    one, other = encoder.encode(["!", ";"], "document")[0], encoder.encode(["!", ";"], "document")[1]
    assert not np.allclose(one, other, atol=1e-3)


def test_a_text_without_content_keeps_its_first_token(encoder):
    for side in SIDES:
        assert tokens_in_mask(encoder, "", side) == ["[CLS]"]
