"""Parts of a Hugging Face model: its layers, its pooler, its maximum length."""

from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel

from optical_sweeps.errors import UserError


def layer_list(model: PreTrainedModel) -> nn.ModuleList:
    """The model's stack of transformer layers, whatever its family names it."""
    depth = model.config.num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise UserError(f"backbone: {type(model).__name__} has no list of {depth} layers; choose another model")


def drop_layers(model: PreTrainedModel, layers: Iterable[int]) -> None:
    """Remove layers, counted from 1, in place; the others keep their order and weights."""
    stack, dropped = layer_list(model), frozenset(layers)
    kept = [index for index in range(len(stack)) if index + 1 not in dropped]
    for number in sorted(dropped, reverse=True):
        del stack[number - 1]
    model.config.num_hidden_layers = len(kept)
    if types := getattr(model.config, "layer_types", None):
        model.config.layer_types = [types[index] for index in kept]


def drop_pooler(model: PreTrainedModel) -> None:
    """Remove the pooler: token vectors do not use it, and distributed training rejects unused weights."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None


def longest_text(model: PreTrainedModel) -> int:
    """Maximum length of a text in tokens."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None or limit < 0:
        return 1 << 30  # relative positions
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    first = getattr(table, "padding_idx", None)  # RoBERTa counts positions from padding_idx + 1
    return int(limit) if first is None else int(limit) - first - 1
