"""Parts of a Hugging Face model: its layers, its pooler, its maximum length."""

from collections.abc import Iterable, Iterator

import transformers
from torch import nn
from transformers import PreTrainedModel

from optical_sweeps.errors import UserError

UNREAD = ("_global", "w2e_query", "e2w_query", "e2e_query", "entity_embeddings")
"""Parts of module names: Longformer's global attention, and LUKE's entities."""
LISTS_BY_LAYER = ("layer_types", "attention_window")
"""Config keys with one value per layer."""
POSITIONS = ("max_position_embeddings", "max_encoder_position_embeddings")
"""Config keys of the number of positions, by preference."""


def layer_list(model: PreTrainedModel) -> nn.ModuleList:
    """The model's stack of transformer layers; its attribute name depends on the family.

    Raises:
        UserError: the family shares weights between its layers, or keeps the parts of layers in several lists.
    """
    depth = model.config.num_hidden_layers
    stacks = list(_lists(model, depth))
    if len(stacks) != 1:
        raise UserError(
            f"backbone: {type(model).__name__} has no list of {depth} separate layers, which can therefore be "
            "neither dropped nor frozen; leave backbone.layers, student.drop_layers and training.freeze_layers "
            "at their defaults, or choose another model"
        )
    return stacks[0]


def _lists(module: nn.Module, length: int) -> Iterator[nn.ModuleList]:
    """The outermost lists of this length."""
    for child in module.children():
        if isinstance(child, nn.ModuleList) and len(child) == length:
            yield child
        else:
            yield from _lists(child, length)


def drop_layers(model: PreTrainedModel, layers: Iterable[int]) -> None:
    """Remove layers, counted from 1, in place; the others keep their order and weights.

    Raises:
        UserError: a layer cannot take the place of a dropped one, such as any but the first of T5, which alone
            has the position biases.
    """
    stack, dropped = layer_list(model), frozenset(layers)
    kept = [index for index in range(len(stack)) if index + 1 not in dropped]
    kinds = [_kind(layer) for layer in stack]
    for place, index in enumerate(kept):
        if kinds[index] != kinds[place]:
            raise UserError(
                f"backbone: layer {index + 1} of {type(model).__name__} is of another kind than layer "
                f"{place + 1} and cannot take its place; drop the last layers instead"
            )
    for number in sorted(dropped, reverse=True):
        del stack[number - 1]
    depth_key = "num_encoder_layers" if hasattr(model.config, "num_encoder_layers") else "num_hidden_layers"
    setattr(model.config, depth_key, len(kept))
    for key in LISTS_BY_LAYER:
        if isinstance(values := getattr(model.config, key, None), list):
            setattr(model.config, key, [values[index] for index in kept])


def _kind(layer: nn.Module) -> tuple[object, ...]:
    """Shapes of a layer's weights, and switches: every second layer of Pegasus-X, shifts blocks."""
    shapes = {name: tensor.shape for name, tensor in layer.state_dict().items()}
    switches = {
        f"{name}.{key}": value
        for name, module in layer.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, bool)
    }
    return shapes, switches


def unread_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters without a gradient: tables of sines, and parts for other inputs or kinds of attention."""
    for name, module in model.named_modules():
        sines = "Sinusoidal" in type(module).__name__
        if sines or any(part in name.rpartition(".")[2] for part in UNREAD):
            yield from module.parameters()


def encoder_half(model: PreTrainedModel) -> PreTrainedModel:
    """The encoder of a model that also has a decoder, such as T5; any other model unchanged."""
    half = getattr(model, "encoder", None)
    has_decoder = getattr(model, "decoder", None) is not None
    return half if has_decoder and isinstance(half, PreTrainedModel) else model


def is_encoder_half(model: PreTrainedModel) -> bool:
    """Whether `encoder_half` took the model out of a larger one."""
    return bool(transformers.MODEL_MAPPING[type(model.config)] is not type(model))


def drop_pooler(model: PreTrainedModel) -> None:
    """Remove the pooler: token vectors do not use it, and distributed training rejects unused weights."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = nn.Identity()  # not None: some families call it in any case


def longest_text(model: PreTrainedModel) -> int:
    """Maximum length of a text in tokens."""
    limits = (getattr(model.config, key, None) for key in POSITIONS)
    limit = next((limit for limit in limits if limit is not None), -1)
    if limit < 0:
        return 1 << 30  # relative positions
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    first = getattr(table, "padding_idx", None)  # RoBERTa counts positions from padding_idx + 1
    return int(limit) if first is None else int(limit) - first - 1
