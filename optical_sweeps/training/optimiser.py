"""AdamW and its learning rate schedule."""

import functools
from collections.abc import Iterable
from typing import TypedDict

from torch.nn import Parameter
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from optical_sweeps.training.training_settings import TrainingSettings


class ScheduledOptimiser(TypedDict):
    """What `LightningModule.configure_optimizers` returns."""

    optimizer: Optimizer
    lr_scheduler: dict[str, LambdaLR | str]


def scheduled_adamw(
    parameters: Iterable[Parameter], settings: TrainingSettings, steps: int
) -> ScheduledOptimiser:
    """AdamW with its schedule over `steps` steps, in Lightning's form."""
    optimiser = adamw(parameters, settings)
    schedule = warmup_then_decay(optimiser, settings, steps)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def adamw(parameters: Iterable[Parameter], settings: TrainingSettings) -> AdamW:
    """AdamW over the trainable parameters, with weight decay on matrices only.

    In float32 one fused kernel updates all parameters; under mixed precision Lightning refuses to clip the
    gradients of a fused optimiser.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return AdamW(
        [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        fused=settings.precision == "32-true",
    )


def warmup_then_decay(optimiser: Optimizer, settings: TrainingSettings, steps: int) -> LambdaLR:
    """Linear warm-up to the peak, then linear decay to 0 after the last of `steps` steps."""
    warmup = round(settings.warmup_fraction * steps)
    return LambdaLR(optimiser, functools.partial(_factor, warmup=warmup, steps=steps))


def _factor(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return max(0.0, (steps - step) / max(1, steps - warmup))
