"""One distillation, from drawn pairs to a trained student."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.objectives import Objective, needs
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.buckets import BucketedBatches
from optical_sweeps.training.callbacks import DevRetrieval, Log, LossLog, StepProgress
from optical_sweeps.training.checkpoints import Checkpoints
from optical_sweeps.training.distillation import Distillation
from optical_sweeps.training.distillation_data import DistillationData
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.pairs import DistillationPairs, EpochBatches
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.resuming import Checkpointing, Stateful, take_up
from optical_sweeps.training.settings import TrainingSettings
from optical_sweeps.training.trainer import fit


@dataclass(frozen=True)
class Distilled:
    """How a distillation ended.

    Args:
        steps: optimiser steps taken.
        best_step: the step of the best validation.
        tokens: student tokens trained on, special tokens included.
        attempts: the step at which each process took the training up; the first began at 0.
        seconds_before: of training, in processes before this one.
        pairs: trained on, each as often as it was.
    """

    steps: int
    best_step: int
    tokens: int
    attempts: tuple[int, ...] = (0,)
    seconds_before: float = 0.0
    pairs: int = 0


def distil(
    student: TokenEncoder,
    objective: Objective,
    material: DistillationData,
    settings: TrainingSettings,
    machine: Machine,
    *,
    seed: int,
    log: Log,
    measure: Callable[[TokenEncoder, int], float],
    progress: Callable[[int, int], None],
    folder: Path,
    checkpoints: Checkpoints | None = None,
    parts: Mapping[str, Stateful] | None = None,
    interruption: Interruption | None = None,
    ranks: Ranks = ALONE,
    begins: Callable[[int, int], None] = lambda pairs, steps: None,
) -> Distilled:
    """Train `student` in place on the pairs of a mixture, from the newest checkpoint where there is one.

    Args:
        measure: (student, step) -> dev score; called where the settings ask for validation, and at the end.
            Where the process is asked to stop it may raise `Interrupted`.
        folder: receives the batch of a step that broke the run.
        checkpoints: where the training's state is kept every `machine.checkpoint_seconds`, and its result.
        parts: what else the rest of the training depends on, such as logs; brought to the same step.
        interruption: tells when the process is asked to stop.
        ranks: the devices that share every batch; `log` and `measure` are called on the first alone.
        begins: told the pairs and steps of all epochs.

    Raises:
        Interrupted: the process was asked to stop; a checkpoint of the step stands.
        NotFinite: the loss or a gradient is NaN or infinite.
    """
    student.freeze(embeddings=settings.freeze_embeddings, layers=settings.freeze_layers).train()
    pairs = material.pairs(student, needs(objective), seed, ranks)
    sampler = _sampler(pairs, settings, derive_seed("batches", seed))
    steps = len(sampler)
    begins(len(pairs) * settings.epochs, steps)
    module = Distillation(student, objective, settings, steps=steps, wreck=folder / "wreck", ranks=ranks)
    validation = DevRetrieval(measure, settings, steps, ranks)
    parts = {"validation": validation, **(parts or {})}
    saved = take_up(module, checkpoints, parts, ranks)
    attempts = checkpoints.begin(module.first_step) if checkpoints and ranks.is_first else (module.first_step,)
    keeping = Checkpointing(
        checkpoints, machine.checkpoint_seconds, interruption or Interruption(), ranks, saved, parts
    )
    if not (saved and saved["done"]) and validation.is_patient:
        torch.manual_seed(derive_seed("dropout", seed) + ranks.rank)
        callbacks = [
            LossLog(log if ranks.is_first else _nowhere, settings, steps, ranks),
            StepProgress(lambda step: progress(step, steps)),
            validation,
            keeping,
        ]
        fit(module, pairs, sampler, settings, machine, ranks, callbacks, keeping.interruption, folder)
    student.to(machine.device()).eval()  # Lightning leaves it on the CPU
    if not (saved and saved["done"]):
        validation.validate(student, module.step)  # that of the last step was cut off
        if settings.keep == "best":
            student.load_state_dict(validation.best_weights, strict=False)
        keeping.keep_result(module)
    seen = np.fromiter(chain.from_iterable(islice(iter(sampler), module.step)), np.int64)
    return Distilled(
        module.step, validation.best_step, pairs.tokens(seen), attempts, keeping.seconds_before, len(seen)
    )


def _nowhere(step: int, metrics: Mapping[str, float]) -> None:
    """Where the metrics of all ranks but the first go."""


def _sampler(pairs: DistillationPairs, settings: TrainingSettings, seed: int) -> EpochBatches | BucketedBatches:
    if settings.batch_tokens is None:
        return EpochBatches(len(pairs), settings.batch_size, settings.epochs, seed)
    return BucketedBatches(pairs.longest, settings.batch_size, settings.batch_tokens, settings.epochs, seed)
