"""The distillation step as a Lightning module."""

import copy
import json
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Optimizer

from optical_sweeps.encoders.tensor_files import save_tensors
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenBatch, concatenated_batches
from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Documents, Objective, ObjectiveOutput, distil, mean_output
from optical_sweeps.training.distillation_pairs import DistillationBatch
from optical_sweeps.training.optimiser import ScheduledOptimiser, scheduled_adamw
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.resuming import ResumableModule
from optical_sweeps.training.stored_teacher import Teacher
from optical_sweeps.training.training_settings import TrainingSettings


class NotFinite(UserError):
    """A loss or a gradient norm is NaN or infinite."""


class DistillationModule(ResumableModule):
    """Trains a student towards a frozen teacher with an objective.

    Args:
        student: the encoder to train, with its frozen parameters already frozen.
        teacher: gives the teacher's token vectors of a batch's English texts.
        objective: (student tokens, teacher tokens) -> loss and diagnostics; copied, since it may learn too.
        steps: optimiser steps of the whole training, for the schedule.
        wreck: folder that receives the batch of a step whose loss or gradient is not finite.
        ranks: the processes that share every batch.
    """

    def __init__(
        self,
        student: TokenEncoder,
        teacher: Teacher,
        objective: Objective,
        settings: TrainingSettings,
        *,
        steps: int,
        wreck: Path,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.student = student
        self.teacher = teacher
        self.objective = copy.deepcopy(objective)
        self.settings = settings
        self.steps = steps
        self.wreck = wreck
        self.ranks = ranks
        self.batch: DistillationBatch | None = None
        self.output: ObjectiveOutput | None = None
        self.weight = 1.0
        self.gradient_norm = 0.0

    def training_step(self, batch: DistillationBatch, batch_idx: int) -> Tensor:
        """The objective's loss between student and teacher on one batch, averaged over sides."""
        outputs: dict[str, ObjectiveOutput] = {}
        for side, texts in batch.sides.items():
            context: dict[str, TokenEmbeddings | Documents] = {}
            if texts.english is None:
                student = self.student(texts.sentences)
            else:
                student, context["student_english"] = _encoded_together(
                    self.student, texts.sentences, texts.english
                )
            if batch.documents is not None:
                context["documents"] = batch.documents
            teacher = self.teacher(texts.teacher, side)
            outputs[side] = distil(self.objective, student, teacher, batch.english, context)
        self.output = mean_output(outputs)
        self.batch, self.weight = batch, batch.weight
        if self.ranks.any(not torch.isfinite(self.output.loss)):
            self._stop("loss", float(self.output.loss.detach()))
        return self.output.loss if self.weight == 1.0 else self.output.loss * self.weight

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # with 16-mixed, the scaler skips steps whose gradients are infinite
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        self.gradient_norm = float(torch.nn.utils.get_total_norm(gradients))
        if self.settings.precision != "16-mixed" and not math.isfinite(self.gradient_norm):
            self._stop("gradient norm", self.gradient_norm)

    def configure_optimizers(self) -> ScheduledOptimiser:
        return scheduled_adamw(self.parameters(), self.settings, self.steps)

    def transfer_batch_to_device(
        self, batch: DistillationBatch, device: torch.device, dataloader_idx: int
    ) -> DistillationBatch:
        return batch.to(device)

    def _stop(self, quantity: str, value: float) -> None:
        """Save the batch whose loss or gradient is not finite, then raise NotFinite."""
        batch, output = self.batch, self.output
        assert batch is not None
        assert output is not None
        self.wreck.mkdir(parents=True, exist_ok=True)
        suffix = "" if self.ranks.is_first else f".{self.ranks.rank}"  # all ranks stop together
        save_tensors(batch.tensors(), self.wreck / f"batch{suffix}.safetensors")
        # numbers as text, since JSON has no NaN
        diagnostics = {name: str(float(value)) for name, value in output.diagnostics.items()}
        report = {"step": self.step, quantity: str(value), "diagnostics": diagnostics}
        (self.wreck / f"report{suffix}.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
        raise NotFinite(
            f"training: the {quantity} is {value} at step {self.step}; its batch is saved in "
            f"{self.wreck}; try a lower training.learning_rate, training.gradient_clip or "
            "training.precision=32-true"
        )


def _encoded_together(
    student: TokenEncoder, sentences: TokenBatch, english: TokenBatch
) -> tuple[TokenEmbeddings, TokenEmbeddings]:
    """The student's vectors of both batches, encoded as one."""
    tokens = student(concatenated_batches(sentences, english))
    parts = zip((sentences, english), tokens.vectors.split([len(sentences), len(english)]), strict=True)
    one, other = (TokenEmbeddings(vectors[:, : part.mask.shape[1]], part.mask) for part, vectors in parts)
    return one, other
