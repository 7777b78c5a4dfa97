"""How a model is optimised; shared by the teacher's training and the distillation."""

from dataclasses import dataclass
from typing import Literal, get_args

from optical_sweeps.errors import UserError

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Keep = Literal["last", "best"]


@dataclass(frozen=True)
class TrainingSettings:
    """AdamW with linear warm-up and linear decay to zero.

    Args:
        batch_size: pairs a step.
        epochs: passes over the drawn pairs.
        learning_rate: the peak, reached after `warmup_fraction` of all steps.
        weight_decay: on matrices; biases and norms are left out.
        gradient_clip: largest gradient norm; 0 does not clip.
        precision: of Lightning's trainer; transport and MaxSim stay in float32.
        freeze_embeddings: leave the token and position embeddings as they are.
        freeze_layers: leave the first k layers as they are.
        log_every: steps between logged losses.
        validate_every: steps between retrieval on dev; none: only after the last step.
        patience: stop after so many validations without a better dev score; none: never.
        keep: the weights to end with, those of the last step or of the best validation.
    """

    batch_size: int = 32
    epochs: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    gradient_clip: float = 1.0
    precision: Precision | str = "32-true"
    freeze_embeddings: bool = True
    freeze_layers: int = 0
    log_every: int = 10
    validate_every: int | None = None
    patience: int | None = None
    keep: Keep | str = "last"

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "log_every"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("validate_every", "patience"):
            value = getattr(self, name)
            self._require(name, value is None or value >= 1, "at least 1, or null")
        self._require("learning_rate", self.learning_rate > 0, "greater than 0")
        self._require("warmup_fraction", 0 <= self.warmup_fraction <= 1, "from 0 to 1")
        for name in ("weight_decay", "gradient_clip", "freeze_layers"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        self._require("precision", self.precision in get_args(Precision), f"one of {get_args(Precision)}")
        self._require("keep", self.keep in get_args(Keep), f"one of {get_args(Keep)}")
        waits = self.patience is not None or self.keep == "best"
        self._require("validate_every", not waits or self.validate_every is not None,
                      "set where patience or keep=best ask for validations")

    def _require(self, key: str, holds: bool, what: str) -> None:
        if not holds:
            raise UserError(f"training.{key}: {getattr(self, key)!r} must be {what}")
