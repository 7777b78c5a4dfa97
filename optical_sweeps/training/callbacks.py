"""Callbacks of one concern each; what they measure and where they log is injected."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import lightning
import torch

from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.objectives import ObjectiveOutput
from optical_sweeps.training.checkpoints import State
from optical_sweeps.training.distillation import Distillation
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.resuming import Resumable
from optical_sweeps.training.settings import TrainingSettings

Log = Callable[[int, Mapping[str, float]], None]
"""(optimiser step, metrics by name)."""


class LossLog(lightning.Callback):
    """Logs loss, diagnostics, learning rate and gradient norm every few steps, and after the last.

    On several devices, the mean of the loss and of the diagnostics over them.
    """

    def __init__(self, send: Log, settings: TrainingSettings, steps: int, ranks: Ranks = ALONE) -> None:
        self.send, self.every, self.steps, self.ranks = send, settings.log_every, steps, ranks

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Distillation, *_: Any) -> None:
        if module.output is None or not self._is_due(module.step):
            return
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        means = self._means(module.output, module.weight)
        metrics = {
            "loss": means.pop("loss"),
            "learning_rate": rate,
            "gradient_norm": module.gradient_norm,
            **means,
        }
        self.send(module.step, {f"train/{name}": value for name, value in metrics.items()})

    def _is_due(self, step: int) -> bool:
        return step % self.every == 0 or step == self.steps

    def _means(self, output: ObjectiveOutput, weight: float) -> dict[str, float]:
        values = {"loss": output.loss.detach(), **output.diagnostics}
        if self.ranks.world > 1:
            stacked = torch.stack([value.float() for value in values.values()]) * weight
            values = dict(zip(values, self.ranks.sum(stacked) / self.ranks.world, strict=True))
        return {name: float(value) for name, value in values.items()}


class StepProgress(lightning.Callback):
    """Tells an injected callable how many steps are done."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.report = report

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Resumable, *_: Any) -> None:
        self.report(module.step)


class DevRetrieval(lightning.Callback):
    """Validation by retrieval on dev: early stopping, and the weights of the best validation.

    Its state tells which step was validated last, so that a validation that was cut off is made up for.

    Args:
        measure: (student, step) -> dev score, greater is better; it logs what it measures itself.
        ranks: the first measures, the others hear of it.
    """

    def __init__(
        self,
        measure: Callable[[TokenEncoder, int], float],
        settings: TrainingSettings,
        steps: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.measure, self.settings, self.steps, self.ranks = measure, settings, steps, ranks
        self.restore(None)

    def state(self) -> State:
        return {
            "validated": self.validated,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_weights": self.best_weights,
            "waited": self.waited,
        }

    def restore(self, state: State | None) -> None:
        start: State = {
            "validated": -1,
            "best_score": -math.inf,
            "best_step": 0,
            "best_weights": {},
            "waited": 0,
        }
        of = state or start
        self.validated: int = of["validated"]
        self.best_score: float = of["best_score"]
        self.best_step: int = of["best_step"]
        self.best_weights: dict[str, torch.Tensor] = of["best_weights"]
        self.waited: int = of["waited"]

    @property
    def is_patient(self) -> bool:
        """Whether there is sense in training on."""
        return self.settings.patience is None or self.waited < self.settings.patience

    def on_train_start(self, trainer: lightning.Trainer, module: Distillation) -> None:
        self._follow(trainer, module)

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Distillation, *_: Any) -> None:
        self._follow(trainer, module)

    def validate(self, student: TokenEncoder, step: int) -> None:
        """Measure the student unless this step asks for none or was measured already."""
        if not self._is_due(step) or step == self.validated:
            return
        score = self.ranks.broadcast_from_rank0(lambda: self.measure(student, step))
        self.validated = step
        if score > self.best_score:
            self.best_score, self.best_step, self.waited = score, step, 0
            if self.settings.keep == "best":
                self.best_weights = _trained_weights(student)
        else:
            self.waited += 1

    def _follow(self, trainer: lightning.Trainer, module: Distillation) -> None:
        self.validate(module.student, module.step)
        if not self.is_patient:
            trainer.should_stop = True

    def _is_due(self, step: int) -> bool:
        every = self.settings.validate_every
        if step == 0:
            # where nothing goes by validations, the start is the zero-shot run's and known
            return bool(every) and (self.settings.keep == "best" or self.settings.patience is not None)
        return step == self.steps or (every is not None and step % every == 0)


def _trained_weights(encoder: TokenEncoder) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in encoder.trainable_parameters().items()}
