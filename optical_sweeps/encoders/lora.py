"""Low-rank adapters on a backbone's linear layers, through the optional package peft."""

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from optical_sweeps.checks import number_between, positive_number, strings, whole_number
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed


@dataclass(frozen=True)
class LoraSettings:
    """W x + (alpha / rank) B A x, with A and B trained in place of W (Hu et al. 2022, arXiv 2106.09685).

    B starts at 0, so that an adapted encoder begins as the one it adapts.

    Args:
        rank: rows of A.
        alpha: scale of the update, in units of `rank`.
        dropout: on the adapters' input, in training.
        targets: names of the linear layers, such as `query` of BERT's attention.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("query", "value")
    __no_type_check__ = True

    def __post_init__(self) -> None:
        whole_number("student.lora.rank", self.rank, least=1)
        positive_number("student.lora.alpha", self.alpha)
        number_between("student.lora.dropout", self.dropout, 0.0, math.nextafter(1.0, 0.0))
        object.__setattr__(self, "targets", strings("student.lora.targets", self.targets))
        if not self.targets:
            raise UserError("student.lora.targets: names no layer; give some, such as [query, value]")

    def check(self) -> None:
        """Raises UserError where peft is not installed."""
        if importlib.util.find_spec("peft") is None:
            raise UserError("student.lora: needs the package peft; pip install 'optical-sweeps[peft]'")


def add_lora(encoder: TokenEncoder, settings: LoraSettings, seed: int) -> None:
    """Adapt the backbone's layers in place; the rest of the backbone is frozen, the projection is not.

    The modules around the layers stay what they are, so padding-free forwards still apply.

    Raises:
        UserError: peft is missing, or no layer has one of the names.
    """
    settings.check()
    import peft

    options: dict[str, Any] = {
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": list(settings.targets),
    }
    absent = [name for name in settings.targets if not _layers_named(encoder.backbone, name)]
    if absent:
        raise UserError(
            f"student.lora.targets: {encoder.name} has no linear layer {absent[0]}; its linear layers are "
            f"{', '.join(sorted(_linear_names(encoder.backbone)))}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("lora", seed))
        peft.inject_adapter_in_model(peft.LoraConfig(**options), encoder.backbone)


def merge_lora(encoder: TokenEncoder) -> TokenEncoder:
    """Add the adapters' updates to the layers they adapt and remove them, in place; returns the encoder.

    An encoder without adapters stays as it is. Outputs change by rounding alone.
    """
    for parent in list(encoder.backbone.modules()):
        for name, child in list(parent.named_children()):
            if _is_adapted(child):
                child.merge()
                setattr(parent, name, child.get_base_layer())
    return encoder


def has_lora(encoder: TokenEncoder) -> bool:
    """Whether adapters are there that `merge_lora` would remove."""
    return any(_is_adapted(module) for module in encoder.backbone.modules())


def _is_adapted(module: nn.Module) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "get_base_layer")


def _layers_named(model: Any, name: str) -> list[str]:
    return [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and (path == name or path.endswith(f".{name}"))
    ]


def _linear_names(model: Any) -> set[str]:
    return {path.rpartition(".")[2] for path, module in model.named_modules() if isinstance(module, nn.Linear)}
