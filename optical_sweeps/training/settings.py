"""How a model is optimised; shared by the teacher's training and the distillation."""

from typing import Literal

from optical_sweeps.checks import Count, Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat
from optical_sweeps.corpora.code_switching import CodeSwitching
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings


@settings("training")
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

    batch_size: Count = 32
    epochs: Count = 1
    learning_rate: PositiveFloat = 1e-4
    weight_decay: NonNegativeFloat = 0.01
    warmup_fraction: Fraction = 0.1
    gradient_clip: NonNegativeFloat = 1.0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    freeze_embeddings: bool = True
    freeze_layers: NonNegativeInt = 0
    log_every: Count = 10
    validate_every: Count | None = None
    patience: Count | None = None
    keep: Literal["last", "best"] = "last"
    batch_tokens: Count | None = None
    mined_documents: Count = 8
    code_switching: CodeSwitching | None = None

    def __post_init__(self) -> None:
        if self.validate_every is None and (self.patience is not None or self.keep == "best"):
            raise UserError(
                f"{key_of('validate_every')}: null, but patience and keep=best depend on validations; "
                "set a number of steps"
            )
