"""Lightning callbacks of a training: its log, its progress bar, and validation by retrieval on dev."""

import math
from typing import Protocol, runtime_checkable

import lightning
import torch

from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.objectives import ObjectiveOutput
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_module import DistillationModule
from optical_sweeps.training.resuming import ResumableModule
from optical_sweeps.training.training_checkpoints import State
from optical_sweeps.training.training_settings import TrainingSettings


class LossLog(lightning.Callback):
    """Logs loss, diagnostics, learning rate and gradient norm at an interval, and after the last step.

    On several devices, it logs the means of loss and diagnostics over them.
    """

    def __init__(self, context: TrainingContext, settings: TrainingSettings, steps: int) -> None:
        self.context, self.settings, self.steps = context, settings, steps

    def on_train_batch_end(self, trainer: lightning.Trainer, module: DistillationModule, *_: object) -> None:
        if module.output is None or (module.step % self.settings.log_every and module.step != self.steps):
            return
        means = self._means(module.output, module.weight)
        metrics = {
            "loss": means.pop("loss"),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "gradient_norm": module.gradient_norm,
            **means,
        }
        named = {f"train/{name}": value for name, value in metrics.items()}
        self.context.logger.log_metrics(named, module.step)

    def _means(self, output: ObjectiveOutput, weight: float) -> dict[str, float]:
        values = {"loss": output.loss.detach(), **output.diagnostics}
        ranks = self.context.ranks
        if ranks.world > 1:
            stacked = torch.stack([value.float() for value in values.values()]) * weight
            values = dict(zip(values, ranks.sum(stacked) / ranks.world, strict=True))
        return {name: float(value) for name, value in values.items()}


class StepProgress(lightning.Callback):
    """Reports the number of finished steps to the progress bar."""

    def __init__(self, context: TrainingContext, steps: int) -> None:
        self.context, self.steps = context, steps

    def on_train_batch_end(self, trainer: lightning.Trainer, module: ResumableModule, *_: object) -> None:
        self.context.progress(module.step, self.steps)


@runtime_checkable
class DevEvaluator(Protocol):
    """Measures a student on dev."""

    def evaluate(self, student: TokenEncoder, step: int) -> float:
        """Search dev with the student after this step, log the measures, and return its score.

        A larger score is better. Called on rank 0 alone; may raise `Interrupted`.
        """
        ...


class DevValidation(lightning.Callback):
    """Validates by retrieval on dev: early stopping, and the weights of the best validation.

    Its state holds the step of the last validation, so that an interrupted validation is repeated.

    Args:
        steps: steps of the whole training.
    """

    validated: int
    best_score: float
    best_step: int
    best_weights: dict[str, torch.Tensor]
    waited: int

    def __init__(
        self, evaluator: DevEvaluator, settings: TrainingSettings, steps: int, context: TrainingContext
    ) -> None:
        self.evaluator, self.settings, self.steps, self.ranks = evaluator, settings, steps, context.ranks
        self.load_state_dict({})

    def state_dict(self) -> State:
        return {
            "validated": self.validated,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_weights": self.best_weights,
            "waited": self.waited,
        }

    def load_state_dict(self, state: State) -> None:
        self.validated = state.get("validated", -1)
        self.best_score = state.get("best_score", -math.inf)
        self.best_step = state.get("best_step", 0)
        self.best_weights = state.get("best_weights", {})
        self.waited = state.get("waited", 0)

    @property
    def stops_early(self) -> bool:
        """Whether the dev score has not improved for `patience` validations."""
        return self.settings.patience is not None and self.waited >= self.settings.patience

    def on_train_start(self, trainer: lightning.Trainer, module: DistillationModule) -> None:
        self.validate(module.student, module.step)
        trainer.should_stop |= self.stops_early

    def on_train_batch_end(self, trainer: lightning.Trainer, module: DistillationModule, *_: object) -> None:
        self.validate(module.student, module.step)
        trainer.should_stop |= self.stops_early

    def validate(self, student: TokenEncoder, step: int) -> None:
        """Measure the student if a validation is due at this step and has not been done yet."""
        if not self._is_due(step) or step == self.validated:
            return
        score = self.ranks.broadcast_from_rank0(self.evaluator.evaluate, student, step)
        self.validated = step
        if score > self.best_score:
            self.best_score, self.best_step, self.waited = score, step, 0
            if self.settings.keep == "best":
                self.best_weights = _trained_weights(student)
        else:
            self.waited += 1

    def _is_due(self, step: int) -> bool:
        every = self.settings.validate_every
        if step == 0:
            # only patience and keep=best depend on the score at the start, which is that of the zero-shot run
            return bool(every) and (self.settings.keep == "best" or self.settings.patience is not None)
        return step == self.steps or (every is not None and step % every == 0)


def _trained_weights(encoder: TokenEncoder) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in encoder.trainable_parameters().items()}
