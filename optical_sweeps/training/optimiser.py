"""AdamW and its schedule."""

from collections.abc import Iterable

from torch.nn import Parameter
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from optical_sweeps.training.settings import TrainingSettings


def adamw(parameters: Iterable[Parameter], settings: TrainingSettings) -> AdamW:
    """AdamW over the parameters that train; weight decay on matrices alone.

    In float32 one kernel updates all parameters; under mixed precision Lightning refuses to clip the gradients
    of such an optimiser.
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
    """Linear up to the peak over the warm-up, then linear down, to 0 after the last of `steps`."""
    warmup = round(settings.warmup_fraction * steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (steps - step) / max(1, steps - warmup))

    return LambdaLR(optimiser, factor)
