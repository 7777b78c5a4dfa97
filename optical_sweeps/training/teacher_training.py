"""Training of a ColBERT-style teacher on query-document pairs or triples of the high-resource language.

Khattab and Zaharia 2020, arXiv 2004.12832.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset

from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenBatch
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.batch_order import EpochBatches
from optical_sweeps.training.bitext_data import OrderedDataModule
from optical_sweeps.training.callbacks import StepProgress
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_module import NotFinite
from optical_sweeps.training.lightning_trainer import fitting, quiet_trainer
from optical_sweeps.training.optimiser import ScheduledOptimiser, scheduled_adamw
from optical_sweeps.training.resuming import ResumableModule, ResumeCheckpoint, resume
from optical_sweeps.training.teacher_losses import teacher_loss
from optical_sweeps.training.teacher_settings import TeacherSettings


def train_teacher(
    settings: TeacherSettings,
    encoder: TokenEncoder,
    triples: Triples,
    context: TrainingContext,
) -> TokenEncoder:
    """Train an encoder in place and freeze it; on a CPU the same arguments give the same weights.

    Args:
        triples: queries with positives and negatives, or with positives only.
        context: its machine has a single device.

    Raises:
        UserError: there is no triple.
        Interrupted: the process was asked to stop; a checkpoint of the last step is stored.
        NotFinite: the loss is NaN or infinite.
    """
    training = settings.training
    encoder.freeze(embeddings=training.freeze_embeddings, layers=training.freeze_layers).train()
    dataset = RelevanceTriples(triples, encoder)
    seed = derive_seed("teacher", settings.seed)
    order = EpochBatches(len(dataset), training.batch_size, training.epochs, seed)
    data = OrderedDataModule(dataset, order, context.machine.workers)
    module = TeacherModule(encoder, settings, steps=data.steps)
    state = resume(module, context)
    data.first_step = module.first_step
    if data.steps_left:
        torch.manual_seed(derive_seed("dropout", settings.seed))
        callbacks = [StepProgress(context, data.steps), ResumeCheckpoint(context, state, {})]
        trainer = quiet_trainer(context, training, data.steps_left, callbacks)
        with fitting(context):
            trainer.fit(module, datamodule=data)
    return encoder.eval().requires_grad_(False)


@dataclass(frozen=True)
class RelevanceBatch:
    """Queries, a relevant document for each, and the negatives of each query.

    Args:
        concepts: a document of a query's own concept is never its in-batch negative.
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


class RelevanceTriples(Dataset[RelevanceBatch]):
    """Batches of triples, indexed by lists of positions; texts are read from disk and tokenised per batch."""

    def __init__(self, triples: Triples, encoder: TokenEncoder) -> None:
        if not len(triples):
            raise UserError(
                "teacher: there is no example to train on; choose a corpus with query-document pairs, or name "
                "triples in teacher.triples"
            )
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


class TeacherModule(ResumableModule):
    """Trains one encoder for queries and documents by a softmax over MaxSim scores."""

    def __init__(self, encoder: TokenEncoder, settings: TeacherSettings, *, steps: int) -> None:
        super().__init__()
        self.encoder, self.settings, self.steps = encoder, settings, steps

    def training_step(self, batch: RelevanceBatch, batch_idx: int) -> Tensor:
        loss = teacher_loss(
            self.settings.loss,
            self.encoder(batch.queries),
            self.encoder(batch.documents),
            self.settings.temperature,
            batch.concepts,
            batch.document_concepts,
        )
        if not torch.isfinite(loss):
            raise NotFinite(
                f"teacher: the loss is {float(loss.detach())} at step {self.step}; try a lower "
                "teacher.training.learning_rate"
            )
        return loss

    def configure_optimizers(self) -> ScheduledOptimiser:
        return scheduled_adamw(self.encoder.parameters(), self.settings.training, self.steps)

    def transfer_batch_to_device(
        self, batch: RelevanceBatch, device: torch.device, dataloader_idx: int
    ) -> RelevanceBatch:
        return batch.to(device)
