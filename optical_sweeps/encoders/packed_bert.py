"""BERT without padding: matrix products only over the real tokens of a batch.

Almost half of a random batch of short texts is padding (32 emoji names: 363 tokens in 32 x 19 positions), and
tokens that take no part (special, prefix, punctuation) do not need the last layer. Forward and backward of that
batch through 4 layers took 312 ms with the model's own forward pass and 179 ms with this one, on one core. The
modules and weights are those of `transformers`; a test compares the two forward passes.

Shape legend: B texts, n tokens of the longest, R real tokens of all texts, W wanted tokens, h hidden size,
e dimensions of an attention head.
"""

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MODELS = ("BertModel", "RobertaModel", "XLMRobertaModel")
"""Classes of transformers, by name: importing the modules of three families takes a second."""


def supports(model: "PreTrainedModel") -> bool:
    """Whether the model belongs to the BERT family that this file implements."""
    absolute = getattr(model.config, "position_embedding_type", "absolute") in ("absolute", None)
    known = type(model).__name__ in MODELS and type(model).__module__.startswith("transformers.")
    return known and absolute and not model.config.is_decoder


def wanted_states(
    model: "PreTrainedModel",
    input_ids: Int64[Tensor, "B n"],
    attended: Bool[Tensor, "B n"],
    wanted: Bool[Tensor, "B n"],
) -> Float[Tensor, "W h"]:
    """Last hidden states of the `wanted` tokens, text by text; texts are padded on the right."""
    real = (attended | wanted).flatten().nonzero().squeeze(1)
    chosen = wanted.flatten()[real].nonzero().squeeze(1)
    keys = attended[:, None, None, :]
    states = _embed(model.embeddings, input_ids, real)
    *layers, last = model.encoder.layer
    for layer in layers:
        states = _layer(layer, states, states, real, real, keys)
    return _layer(last, states, states[chosen], real, real[chosen], keys)


def _embed(embeddings: Any, input_ids: Int64[Tensor, "B n"], real: Int64[Tensor, " R"]) -> Float[Tensor, "R h"]:
    # RoBERTa counts positions from the one after its padding.
    first = embeddings.position_embeddings.padding_idx
    position = real % input_ids.shape[1] + (0 if first is None else first + 1)
    states = embeddings.word_embeddings(input_ids.flatten()[real])
    states = states + embeddings.position_embeddings(position) + embeddings.token_type_embeddings.weight[0]
    normal: Tensor = embeddings.LayerNorm(states)
    return F.dropout(normal, embeddings.dropout.p, embeddings.training)


def _layer(
    layer: Any,
    states: Float[Tensor, "R h"],
    wanted_states: Float[Tensor, "W h"],
    real: Int64[Tensor, " R"],
    wanted: Int64[Tensor, " W"],
    keys: Bool[Tensor, "B 1 1 n"],
) -> Float[Tensor, "W h"]:
    """One layer for the tokens at the flat positions `wanted`, which attend to those at `real`."""
    attention = layer.attention.self
    context = F.scaled_dot_product_attention(
        _unpack(attention.query(wanted_states), wanted, keys, attention),
        _unpack(attention.key(states), real, keys, attention),
        _unpack(attention.value(states), real, keys, attention),
        attn_mask=keys,
        dropout_p=attention.dropout.p if layer.training else 0.0,
    )
    context = context.transpose(1, 2).flatten(0, 1).flatten(1)[wanted]
    middle = layer.attention.output(context, wanted_states)
    output: Tensor = layer.output(layer.intermediate(middle), middle)
    return output


def _unpack(
    packed: Float[Tensor, "R h"],
    positions: Int64[Tensor, " R"],
    keys: Bool[Tensor, "B 1 1 n"],
    attention: Any,
) -> Float[Tensor, "B heads n e"]:
    """Packed vectors at their positions in the padded batch; zeros elsewhere."""
    texts, _, _, width = keys.shape
    padded = packed.new_zeros(texts * width, packed.shape[1]).index_copy(0, positions, packed)
    return padded.view(texts, width, attention.num_attention_heads, -1).transpose(1, 2)
