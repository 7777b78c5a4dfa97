"""A ColBERT-style teacher, trained on query-document pairs or triples of the high-resource language.

Khattab and Zaharia 2020, arXiv 2004.12832.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

from optical_sweeps.corpora.collections import RelevantPair
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.token_encoder import TokenBatch, TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interruption
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.callbacks import StepProgress
from optical_sweeps.training.checkpoints import Checkpoints
from optical_sweeps.training.distillation import NotFinite
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.optimiser import adamw, warmup_then_decay
from optical_sweeps.training.pairs import EpochBatches
from optical_sweeps.training.ranks import ALONE
from optical_sweeps.training.resuming import Checkpointing, Resumable, take_up
from optical_sweeps.training.settings import TrainingSettings
from optical_sweeps.training.teacher import Teacher
from optical_sweeps.training.teacher_losses import teacher_loss
from optical_sweeps.training.trainer import fit


def train_teacher(
    settings: Teacher,
    encoder: TokenEncoder,
    examples: Sequence[RelevantPair] | Triples,
    machine: Machine,
    progress: Callable[[int, int], None],
    checkpoints: Checkpoints | None,
    interruption: Interruption | None,
) -> TokenEncoder:
    """See `Teacher.train`."""
    interruption = interruption or Interruption()
    encoder.freeze(
        embeddings=settings.training.freeze_embeddings, layers=settings.training.freeze_layers
    ).train()
    dataset: RelevancePairs | RelevanceTriples = (
        RelevanceTriples(examples, encoder)
        if isinstance(examples, Triples)
        else RelevancePairs(examples, encoder)
    )
    sampler = EpochBatches(
        len(dataset),
        settings.training.batch_size,
        settings.training.epochs,
        derive_seed("teacher", settings.seed),
    )
    steps = len(sampler)
    module = TeacherTraining(
        encoder, settings.training, temperature=settings.temperature, loss=settings.loss, steps=steps
    )
    saved = take_up(module, checkpoints, {}, ALONE)
    callbacks = [
        StepProgress(lambda step: progress(step, steps)),
        Checkpointing(checkpoints, machine.checkpoint_seconds, interruption, ALONE, saved, {}),
    ]
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(derive_seed("dropout", settings.seed))
        fit(
            module,
            dataset,
            sampler,
            settings.training,
            machine.of_one,
            ALONE,
            callbacks,
            interruption,
            Path(folder),
        )
    return encoder.eval().requires_grad_(False)


@dataclass(frozen=True)
class RelevanceBatch:
    """Queries, a relevant document for each, then each query's negatives.

    Documents of a query's own concept are never its in-batch negatives.
    """

    queries: TokenBatch
    documents: TokenBatch
    concepts: Int[Tensor, " B"]
    document_concepts: Int[Tensor, " D"]

    def to(self, device: torch.device) -> "RelevanceBatch":
        return RelevanceBatch(
            self.queries.to(device),
            self.documents.to(device),
            self.concepts.to(device),
            self.document_concepts.to(device),
        )


class RelevancePairs(Dataset[RelevanceBatch]):
    """Relevant pairs, tokenised once, by lists of positions."""

    def __init__(self, pairs: Sequence[RelevantPair], encoder: TokenEncoder) -> None:
        if not pairs:
            raise UserError("teacher: the corpus has no query-document pair to train on")
        concepts = {pair.concept: number for number, pair in enumerate(pairs)}
        self.encoder = encoder
        self.queries = encoder.tokenize_texts([pair.query for pair in pairs], "query")
        self.documents = encoder.tokenize_texts([pair.document for pair in pairs], "document")
        self.concepts = torch.tensor([concepts[pair.concept] for pair in pairs])

    def __len__(self) -> int:
        return len(self.concepts)

    def __getitem__(self, items: Sequence[int]) -> RelevanceBatch:
        concepts = self.concepts[torch.as_tensor(items)]
        return RelevanceBatch(
            queries=self.encoder.collate(self.queries.take(items), "query"),
            documents=self.encoder.collate(self.documents.take(items), "document"),
            concepts=concepts,
            document_concepts=concepts,
        )


class RelevanceTriples(Dataset[RelevanceBatch]):
    """Triples by lists of positions; texts are read from disk and tokenised batch by batch."""

    def __init__(self, triples: Triples, encoder: TokenEncoder) -> None:
        if not len(triples):
            raise UserError("teacher: there is no triple to train on; name others in teacher.triples")
        self.triples, self.encoder = triples, encoder

    def __len__(self) -> int:
        return len(self.triples)

    def __getitem__(self, items: Sequence[int]) -> RelevanceBatch:
        triples = self.triples
        rows = np.asarray(triples.rows[np.asarray(items)], np.int64)
        documents = np.concatenate([rows[:, 1], rows[:, 2:].ravel()])
        return RelevanceBatch(
            queries=self.encoder.tokenize([triples.queries[int(row)] for row in rows[:, 0]], "query"),
            documents=self.encoder.tokenize([triples.documents[int(row)] for row in documents], "document"),
            concepts=torch.from_numpy(triples.concepts[np.asarray(items)]),
            document_concepts=torch.from_numpy(triples.document_concepts[documents]),
        )


class TeacherTraining(Resumable):
    """Softmax over MaxSim between queries and documents, both encoded by the one encoder."""

    def __init__(
        self, encoder: TokenEncoder, settings: TrainingSettings, *, temperature: float, loss: str, steps: int
    ) -> None:
        super().__init__()
        self.encoder, self.settings = encoder, settings
        self.temperature, self.loss, self.steps = temperature, loss, steps

    def training_step(self, batch: RelevanceBatch, batch_idx: int) -> Tensor:
        loss = teacher_loss(
            self.loss,
            self.encoder(batch.queries),
            self.encoder(batch.documents),
            self.temperature,
            batch.concepts,
            batch.document_concepts,
        )
        if not torch.isfinite(loss):
            raise NotFinite(
                f"teacher: the loss is {float(loss.detach())} at step {self.step}; try a lower "
                "teacher.training.learning_rate"
            )
        return loss

    def configure_optimizers(self) -> Any:
        optimiser = adamw(self.encoder.parameters(), self.settings)
        schedule = warmup_then_decay(optimiser, self.settings, self.steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(
        self, batch: RelevanceBatch, device: torch.device, dataloader_idx: int
    ) -> RelevanceBatch:
        return batch.to(device)
