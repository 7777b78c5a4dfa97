"""Low-rank adapters on a backbone's linear layers, through the optional package peft."""

import torch
from torch import nn

from optical_sweeps.encoders.student_settings import LoraSettings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed


def add_lora(encoder: TokenEncoder, settings: LoraSettings, seed: int) -> None:
    """Add adapters to the backbone in place and freeze the rest of it; the projection stays trainable.

    The modules that contain the adapted layers stay the same, so padding-free forward passes still apply.

    Raises:
        UserError: peft is missing, or no linear layer has one of the names.
    """
    settings.check()
    import peft

    linear = [name for name, module in encoder.backbone.named_modules() if isinstance(module, nn.Linear)]
    for target in settings.targets:
        if not any(name == target or name.endswith(f".{target}") for name in linear):
            names = sorted({name.rpartition(".")[2] for name in linear})
            raise UserError(
                f"student.lora.targets: {encoder.name} has no linear layer {target}; choose from "
                f"{', '.join(names)}"
            )
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("lora", seed))
        peft.inject_adapter_in_model(config, encoder.backbone)


def merge_lora(encoder: TokenEncoder) -> TokenEncoder:
    """Merge the adapters into the layers they adapt, in place; returns the encoder.

    An encoder without adapters is unchanged. Outputs change only by rounding.
    """
    for parent in list(encoder.backbone.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "lora_A") and hasattr(child, "get_base_layer"):
                child.merge()
                setattr(parent, name, child.get_base_layer())
    return encoder
