"""Optimisation settings, shared by the teacher's training and the distillation."""

from typing import Literal

from optical_sweeps.checks import Count, Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat
from optical_sweeps.corpora.code_switching import CodeSwitching
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings


@settings("training")
class TrainingSettings:
    """AdamW with linear warm-up and linear decay to zero.

    Args:
        batch_size: pairs per step; the upper limit if `batch_tokens` is set.
        batch_tokens: largest number of student tokens per step, padding included. Batches then hold pairs of
            similar length. None gives batches of `batch_size` pairs in the order of the draw.
        epochs: passes over the drawn pairs.
        learning_rate: peak, reached after `warmup_fraction` of all steps.
        weight_decay: applied to matrices, not to biases and norms.
        gradient_clip: largest gradient norm; 0 disables clipping.
        precision: Lightning's precision; transport and MaxSim always run in float32.
        freeze_embeddings: keep the token and position embeddings fixed.
        freeze_layers: number of first layers to keep fixed.
        log_every: steps between logged losses.
        validate_every: steps between validations by retrieval on dev; None validates after the last step only.
        patience: stop after this many validations without a better dev score; None never stops early.
        keep: weights at the end of training, those of the last step or of the best validation.
        mined_documents: documents per English text, for objectives that need mined documents.
        teacher: stored, the teacher encodes the drawn English texts before the training, and its vectors serve
            all runs of a store; online, it encodes every batch in the step; auto, the cheaper of the two.
        teacher_precision: of stored vectors; float16 takes half of the disk, int8 (with a scale for each
            vector) about a quarter.
        code_switching: how words of the bitext are replaced by their translations; None replaces none.
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
    teacher: Literal["stored", "online", "auto"] = "stored"
    teacher_precision: Literal["float32", "float16", "int8"] = "float32"

    def __post_init__(self) -> None:
        if self.validate_every is None and (self.patience is not None or self.keep == "best"):
            raise UserError(
                f"{key_of('validate_every')}: null, but patience and keep=best depend on validations; "
                "set a number of steps"
            )
