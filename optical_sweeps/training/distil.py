"""One distillation, from drawn pairs to a trained student."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.mixture import Mixture
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.objectives import Objective
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.callbacks import DevRetrieval, Log, LossLog, StepProgress
from optical_sweeps.training.distillation import Distillation
from optical_sweeps.training.machine import Machine, fit_quietly, quiet_trainer
from optical_sweeps.training.pairs import DistillationPairs, EpochBatches, batches
from optical_sweeps.training.settings import TrainingSettings


@dataclass(frozen=True)
class Distilled:
    """How a distillation ended.

    Args:
        steps: optimiser steps taken.
        best_step: the step of the best validation.
        tokens: student tokens trained on, special tokens included.
    """

    steps: int
    best_step: int
    tokens: int


def distil(
    student: TokenEncoder,
    objective: Objective,
    mixture: Mixture,
    bitext: Mapping[str, Bitext],
    english: Mapping[str, int],
    vectors: RaggedEmbeddings,
    settings: TrainingSettings,
    machine: Machine,
    *,
    seed: int,
    log: Log,
    measure: Callable[[TokenEncoder, int], float],
    progress: Callable[[int, int], None],
    folder: Path,
) -> Distilled:
    """Train `student` in place on the pairs of a mixture.

    Args:
        english: the row of each English text in `vectors`.
        vectors: the teacher's token vectors of the English texts.
        measure: (student, step) -> dev score; called where the settings ask for validation, and at the end.
        folder: receives the batch of a step that broke the run.
    """
    student.freeze(embeddings=settings.freeze_embeddings, layers=settings.freeze_layers)
    pairs = drawn_pairs(student, mixture, bitext, english, vectors, seed)
    sampler = EpochBatches(len(pairs), settings.batch_size, settings.epochs, derive_seed("batches", seed))
    steps = len(sampler)
    module = Distillation(student, objective, settings, steps=steps, wreck=folder / "wreck")
    validation = DevRetrieval(measure, settings, steps)
    callbacks = [
        LossLog(log, settings, steps),
        StepProgress(lambda step: progress(step, steps)),
        validation,
    ]
    torch.manual_seed(derive_seed("dropout", seed))
    trainer = quiet_trainer(machine, settings, steps, callbacks, folder)
    fit_quietly(trainer, module, batches(pairs, sampler, machine.workers))
    student.eval()
    seen = np.fromiter(chain.from_iterable(islice(iter(sampler), trainer.global_step)), np.int64)
    tokens = int(pairs.sentences.lengths[seen].sum())
    return Distilled(trainer.global_step, validation.best_step, tokens)


def drawn_pairs(
    student: TokenEncoder,
    mixture: Mixture,
    bitext: Mapping[str, Bitext],
    english: Mapping[str, int],
    vectors: RaggedEmbeddings,
    seed: int,
) -> DistillationPairs:
    """The pairs of a mixture in training order, tokenised once."""
    items = list(mixture)
    ordered: Sequence[tuple[str, int, int]] = [items[number] for number in mixture.order(seed)]
    texts = [bitext[language].translations[pair] for language, pair, _ in ordered]
    rows = [english[bitext[language].english[pair]] for language, pair, _ in ordered]
    return DistillationPairs(student.tokenize_texts(texts, "query"), np.array(rows), vectors, student)
