"""The training of a student, from its first or resumed step to its result."""

from dataclasses import dataclass

import torch

from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.bitext_data import BitextDataModule
from optical_sweeps.training.callbacks import DevValidation, LossLog, StepProgress
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_module import DistillationModule
from optical_sweeps.training.lightning_trainer import fitting, quiet_trainer
from optical_sweeps.training.resuming import ResumeCheckpoint, resume


@dataclass(frozen=True)
class TrainingResult:
    """Facts of a finished training.

    Args:
        steps: optimiser steps taken.
        best_step: step of the best validation.
        pairs: pairs trained on, counted once per use.
        tokens: student tokens trained on, special tokens included.
        attempts: the step at which each process started or resumed the training; the first is 0.
        seconds_before: seconds of training in earlier processes.
    """

    steps: int
    best_step: int
    pairs: int
    tokens: int
    attempts: tuple[int, ...]
    seconds_before: float


def fit(
    module: DistillationModule,
    data: BitextDataModule,
    validation: DevValidation,
    context: TrainingContext,
    seed: int,
) -> TrainingResult:
    """Train the module's student in place, from the newest checkpoint if there is one.

    Args:
        seed: seed of the run; seeds dropout.

    Raises:
        Interrupted: the process was asked to stop; a checkpoint of the last step is stored.
        NotFinite: the loss or a gradient is NaN or infinite.
    """
    student, settings, checkpoints = module.student, module.settings, context.checkpoints
    parts = {"validation": validation, "log": context.logger}
    state = resume(module, context, parts)
    is_done = state is not None and state["done"]
    data.first_step = module.first_step
    attempts: tuple[int, ...] = (module.first_step,)
    if checkpoints is not None and context.ranks.is_first:
        attempts = checkpoints.begin(module.first_step)
    checkpoint = ResumeCheckpoint(context, state, parts)
    if data.steps_left and not is_done and not validation.stops_early:
        torch.manual_seed(derive_seed("dropout", seed) + context.ranks.rank)
        log, progress = LossLog(context, settings, data.steps), StepProgress(context, data.steps)
        trainer = quiet_trainer(context, settings, data.steps_left, [log, progress, validation, checkpoint])
        with fitting(context):
            trainer.fit(module, datamodule=data)
    student.to(context.machine.device()).eval()  # Lightning moves it to the CPU at the end
    if not is_done:
        validation.validate(student, module.step)  # if that of the last step was interrupted
        if settings.keep == "best":
            student.load_state_dict(validation.best_weights, strict=False)
        checkpoint.write_result(module)
    pairs, tokens = data.seen(module.step)
    return TrainingResult(module.step, validation.best_step, pairs, tokens, attempts, checkpoint.seconds_before)
