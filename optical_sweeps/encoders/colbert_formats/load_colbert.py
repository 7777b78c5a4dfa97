"""A ColBERT checkpoint as a token encoder that gives the same scores."""

import dataclasses
from pathlib import Path

import torch
from jaxtyping import Float
from tokenizers import Tokenizer, normalizers
from torch import Tensor

from optical_sweeps.encoders.backbones import Backbone
from optical_sweeps.encoders.colbert_formats.checkpoint_files import PROJECTION, read_weights
from optical_sweeps.encoders.colbert_formats.colbert_checkpoint import ColbertCheckpoint
from optical_sweeps.encoders.encoder_settings import SIDES, TokenEncoderSettings
from optical_sweeps.encoders.huggingface_backbone import HuggingFaceBackbone
from optical_sweeps.encoders.saved_encoders import load_encoder
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError


def load_checkpoint(checkpoint: ColbertCheckpoint) -> TokenEncoder:
    """The encoder with the checkpoint's weights, tokens, lengths and skip list; in evaluation mode, frozen.

    Raises:
        UserError: a part is missing or does not fit another.
    """
    if checkpoint.format == "saved":
        return load_encoder(checkpoint.folder).requires_grad_(False)
    backbone = _backbone(checkpoint)
    settings = _settings(checkpoint, backbone)
    encoder = TokenEncoder(backbone, settings)
    weight, bias = _projection(checkpoint)
    if weight.shape != encoder.projection.weight.shape:
        raise UserError(
            f"teacher.path: {checkpoint.folder}: its projection is {weight.shape[1]} to {weight.shape[0]}, but "
            f"backbone and settings say {backbone.model.config.hidden_size} to {settings.dim}; fetch it again"
        )
    with torch.no_grad():
        encoder.projection.weight.copy_(weight)
        if settings.projection_bias:
            encoder.projection.bias.copy_(bias)
    encoder.name = checkpoint.format  # not the folder's name, so that the fingerprint depends on content alone
    return encoder.eval().requires_grad_(False)


def _backbone(checkpoint: ColbertCheckpoint) -> Backbone:
    try:
        backbone = HuggingFaceBackbone(str(checkpoint.backbone)).build()
    except UserError as error:
        raise UserError(str(error).replace("backbone.name", "teacher.path", 1)) from None
    _prepare_texts(backbone.tokenizer.backend_tokenizer, checkpoint)
    return dataclasses.replace(backbone, name=checkpoint.folder.name)


def _prepare_texts(tokenizer: Tokenizer, checkpoint: ColbertCheckpoint) -> None:
    """Let the tokenizer do what the checkpoint's program does to a text before tokenization."""
    steps: list[normalizers.Normalizer] = []
    if checkpoint.strip:
        steps.append(normalizers.Strip())
    if checkpoint.lowercase:
        steps.append(normalizers.Lowercase())
    if steps:
        existing = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
        tokenizer.normalizer = normalizers.Sequence([*steps, *existing])


def _settings(checkpoint: ColbertCheckpoint, backbone: Backbone) -> TokenEncoderSettings:
    """The checkpoint's settings, with markers and skip list as tokens of the vocabulary."""
    values = dict(checkpoint.settings)
    if checkpoint.format != "exported":
        for side in SIDES:
            values[f"{side}_marker"] = _marker(checkpoint, backbone, str(values[f"{side}_marker"]))
        skipped = [_skipped(checkpoint, backbone, word) for word in checkpoint.skip_words]
        if checkpoint.format == "Stanford":  # no vector for a literal [PAD] of a document; a query's is [MASK]
            skipped.append(backbone.tokenizer.pad_token)
        values["skip_tokens"] = tuple(dict.fromkeys(token for token in skipped if token is not None))
    return TokenEncoderSettings(**values)


def _marker(checkpoint: ColbertCheckpoint, backbone: Backbone, token: str) -> str:
    """The marker; in Stanford's layout a missing one is an added token, or else the unknown token."""
    tokenizer = backbone.tokenizer
    if tokenizer.backend_tokenizer.token_to_id(token) is not None:
        return token
    if checkpoint.format == "Stanford":
        # ColBERT-X appends markers that a vocabulary lacks, and trains embeddings for them
        if len(tokenizer) < len(backbone.model.get_input_embeddings().weight):
            tokenizer.add_tokens([token])
            return token
        if tokenizer.unk_token is not None:
            return str(tokenizer.unk_token)
    raise UserError(
        f"teacher.path: {checkpoint.folder}: its tokenizer has no token {token!r}, so its embedding would be "
        "random; name a trained ColBERT, or save it again with its own program"
    )


def _skipped(checkpoint: ColbertCheckpoint, backbone: Backbone, word: str) -> str | None:
    """The token that a word of the skip list excludes; in PyLate the unknown token for an unknown word."""
    tokenizer = backbone.tokenizer
    if checkpoint.format == "Stanford":
        return str(tokenizer.backend_tokenizer.encode(word, add_special_tokens=False).tokens[0])
    known = tokenizer.backend_tokenizer.token_to_id(word) is not None
    return word if known else tokenizer.unk_token


def _projection(checkpoint: ColbertCheckpoint) -> tuple[Float[Tensor, "d h"], Float[Tensor, " d"]]:
    """Weight and bias of consecutive linear maps as one: W2 (W1 x + b1) + b2."""
    first, *others = checkpoint.projections or (checkpoint.backbone,)
    weight, bias = _linear(first)
    for folder in others:
        next_weight, next_bias = _linear(folder)
        weight, bias = next_weight @ weight, next_weight @ bias + next_bias
    return weight, bias


def _linear(folder: Path) -> tuple[Float[Tensor, "d h"], Float[Tensor, " d"]]:
    weights = read_weights(folder, (PROJECTION, "linear.bias"))
    if PROJECTION not in weights:
        raise UserError(f"teacher.path: {folder}: no {PROJECTION} among its weights; fetch it again")
    weight = weights[PROJECTION]
    return weight, weights.get("linear.bias", torch.zeros(len(weight)))
