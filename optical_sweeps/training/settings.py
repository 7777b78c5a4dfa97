"""How a model is optimised; shared by the teacher's training and the distillation."""

import math
from dataclasses import dataclass

from optical_sweeps.checks import number_between, one_of, positive_number, true_or_false, whole_number
from optical_sweeps.corpora.code_switching import CodeSwitching
from optical_sweeps.errors import UserError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class TrainingSettings:
    """AdamW with linear warm-up and linear decay to zero.

    Args:
        batch_size: pairs a step; the most, where `batch_tokens` is set.
        batch_tokens: most student tokens a step, counted as if padded to the longest; batches are then of pairs
            of like length. None makes batches of `batch_size` pairs in the order of the draw.
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
        mined_documents: of each English text, for objectives that need mined documents.
        code_switching: what of the bitext is put into the other language; none: nothing.
    """

    batch_size: int = 32
    epochs: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    gradient_clip: float = 1.0
    precision: str = "32-true"
    freeze_embeddings: bool = True
    freeze_layers: int = 0
    log_every: int = 10
    validate_every: int | None = None
    patience: int | None = None
    keep: str = "last"
    batch_tokens: int | None = None
    mined_documents: int = 8
    code_switching: CodeSwitching | None = None

    __no_type_check__ = True

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "log_every", "mined_documents"):
            whole_number(f"training.{name}", getattr(self, name), least=1)
        for name in ("validate_every", "patience", "batch_tokens"):
            if getattr(self, name) is not None:
                whole_number(f"training.{name}", getattr(self, name), least=1)
        positive_number("training.learning_rate", self.learning_rate)
        number_between("training.warmup_fraction", self.warmup_fraction, 0.0, 1.0)
        number_between("training.weight_decay", self.weight_decay, 0.0, math.inf)
        number_between("training.gradient_clip", self.gradient_clip, 0.0, math.inf)
        whole_number("training.freeze_layers", self.freeze_layers, least=0)
        true_or_false("training.freeze_embeddings", self.freeze_embeddings)
        one_of("training.precision", self.precision, PRECISIONS)
        one_of("training.keep", self.keep, ("last", "best"))
        if self.validate_every is None and (self.patience is not None or self.keep == "best"):
            raise UserError(
                "training.validate_every: null, but training.patience and training.keep=best go by "
                "validations; set a number of steps"
            )
