"""A ColBERT checkpoint of another program as a token encoder of ours, with the same scores."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from optical_sweeps.encoders.backbones import Backbone, HuggingFaceBackbone
from optical_sweeps.encoders.checkpoints import load_encoder
from optical_sweeps.encoders.colbert_formats.checkpoint import ColbertCheckpoint
from optical_sweeps.encoders.colbert_formats.files import read_weights
from optical_sweeps.encoders.colbert_formats.own import EXPORTED, SAVED
from optical_sweeps.encoders.colbert_formats.stanford import PROJECTION
from optical_sweeps.encoders.token_encoder import Side, TokenEncoder, TokenEncoderSettings
from optical_sweeps.errors import UserError

SIDES: tuple[Side, ...] = ("query", "document")


def load_checkpoint(checkpoint: ColbertCheckpoint) -> TokenEncoder:
    """The encoder with the checkpoint's weights, tokens, lengths and skip-list; in evaluation mode, frozen.

    Raises:
        UserError: a part is missing or does not fit another.
    """
    if checkpoint.format == SAVED:
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
    encoder.name = checkpoint.format  # not the folder's: a fingerprint would change with the place
    return encoder.eval().requires_grad_(False)


def _backbone(checkpoint: ColbertCheckpoint) -> Backbone:
    try:
        backbone = HuggingFaceBackbone(str(checkpoint.backbone)).build()
    except UserError as error:
        raise UserError(str(error).replace("backbone.name=", "teacher.path: ", 1)) from None
    backbone = dataclasses.replace(backbone, name=checkpoint.folder.name)
    _prepare_texts(backbone.tokenizer.backend_tokenizer, checkpoint)
    return backbone


def _prepare_texts(tokenizer: Any, checkpoint: ColbertCheckpoint) -> None:
    """Let the tokenizer do what the checkpoint's own program does to a text first."""
    from tokenizers import normalizers

    first: list[Any] = [normalizers.Strip()] if checkpoint.strip else []
    first += [normalizers.Lowercase()] if checkpoint.lowercase else []
    if first:
        own = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
        tokenizer.normalizer = normalizers.Sequence([*first, *own])


def _settings(checkpoint: ColbertCheckpoint, backbone: Backbone) -> TokenEncoderSettings:
    """What is stated, with markers and skip-list as tokens of the vocabulary."""
    stated = dict(checkpoint.stated)
    if checkpoint.format == EXPORTED:
        return TokenEncoderSettings(**stated)
    for side in SIDES:
        stated[f"{side}_marker"] = _marker(checkpoint, backbone, stated[f"{side}_marker"])
    skipped = (_skipped(checkpoint, backbone, word) for word in checkpoint.skip_words)
    known = dict.fromkeys(token for token in skipped if token is not None)
    return TokenEncoderSettings(**stated, skip_tokens=tuple(known))


def _marker(checkpoint: ColbertCheckpoint, backbone: Backbone, token: str) -> str:
    """The marker; in Stanford's layout a missing one is an added token, or else the unknown token."""
    tokenizer = backbone.tokenizer
    if tokenizer.backend_tokenizer.token_to_id(token) is not None:
        return token
    if checkpoint.format == "Stanford":
        # ColBERT-X adds markers that a vocabulary lacks at its end, and gives them embeddings
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
    """The token that a word of the skip-list stands for; in PyLate an unknown word is the unknown token."""
    tokenizer = backbone.tokenizer
    if checkpoint.format == "Stanford":
        return str(tokenizer.backend_tokenizer.encode(word, add_special_tokens=False).tokens[0])
    known = tokenizer.backend_tokenizer.token_to_id(word) is not None
    return word if known else tokenizer.unk_token


def _projection(checkpoint: ColbertCheckpoint) -> tuple[Float[Tensor, "d h"], Float[Tensor, " d"]]:
    """Weight and bias of the linear maps in a row, as one: W2 (W1 x + b1) + b2."""
    first, *others = checkpoint.projections or (checkpoint.backbone,)
    weight, bias = _linear(first)
    for folder in others:
        own, added = _linear(folder)
        weight, bias = own @ weight, own @ bias + added
    return weight, bias


def _linear(folder: Path) -> tuple[Float[Tensor, "d h"], Float[Tensor, " d"]]:
    weights = read_weights(folder, (PROJECTION, "linear.bias"))
    weight = _of(weights, PROJECTION, folder)
    return weight, weights.get("linear.bias", torch.zeros(len(weight)))


def _of(weights: Mapping[str, Tensor], name: str, folder: Path) -> Tensor:
    if name not in weights:
        raise UserError(f"teacher.path: {folder}: no {name} among its weights; fetch it again")
    return weights[name]
