"""Callbacks of one concern each; what they measure and where they log is injected."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning
import torch

from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.training.distillation import Distillation
from optical_sweeps.training.settings import TrainingSettings

Log = Callable[[int, Mapping[str, float]], None]
"""(optimiser step, metrics by name)."""


class LossLog(lightning.Callback):
    """Logs loss, diagnostics, learning rate and gradient norm every few steps, and after the last."""

    def __init__(self, send: Log, settings: TrainingSettings, steps: int) -> None:
        self.send, self.every, self.steps = send, settings.log_every, steps

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Distillation, *_: Any) -> None:
        if module.output is None or not self._is_due(trainer.global_step):
            return
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        metrics = {
            "loss": float(module.output.loss.detach()),
            "learning_rate": rate,
            "gradient_norm": module.gradient_norm,
        }
        metrics |= {name: float(value) for name, value in module.output.diagnostics.items()}
        self.send(trainer.global_step, {f"train/{name}": value for name, value in metrics.items()})

    def _is_due(self, step: int) -> bool:
        return step % self.every == 0 or step == self.steps


class StepProgress(lightning.Callback):
    """Tells an injected callable how many steps are done."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.report = report

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any
    ) -> None:
        self.report(trainer.global_step)


class DevRetrieval(lightning.Callback):
    """Validation by retrieval on dev: early stopping, and the weights of the best validation.

    Args:
        measure: (student) -> dev score, greater is better; it logs what it measures itself.
    """

    def __init__(
        self, measure: Callable[[TokenEncoder, int], float], settings: TrainingSettings, steps: int
    ) -> None:
        self.measure, self.settings, self.steps = measure, settings, steps
        self.best_score = -torch.inf
        self.best_step = 0
        self.best_weights: dict[str, torch.Tensor] = {}
        self.waited = 0

    def on_train_start(self, trainer: lightning.Trainer, module: Distillation) -> None:
        # where nothing goes by validations, the start is the zero-shot run's and known
        if self.settings.validate_every and (self.settings.keep == "best" or self.settings.patience):
            self._validate(trainer, module)

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Distillation, *_: Any) -> None:
        every, step = self.settings.validate_every, trainer.global_step
        if step == self.steps or (every and step % every == 0):
            self._validate(trainer, module)

    def on_train_end(self, trainer: lightning.Trainer, module: Distillation) -> None:
        if self.settings.keep == "best":
            module.student.load_state_dict(self.best_weights, strict=False)

    def _validate(self, trainer: lightning.Trainer, module: Distillation) -> None:
        score = self.measure(module.student, trainer.global_step)
        if score > self.best_score:
            self.best_score, self.best_step, self.waited = score, trainer.global_step, 0
            if self.settings.keep == "best":
                self.best_weights = _trained_weights(module.student)
        else:
            self.waited += 1
        if self.settings.patience is not None and self.waited >= self.settings.patience:
            trainer.should_stop = True


def _trained_weights(encoder: TokenEncoder) -> dict[str, torch.Tensor]:
    return {
        name: parameter.detach().clone()
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad
    }
