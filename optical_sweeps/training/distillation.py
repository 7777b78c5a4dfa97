"""The distillation step as a Lightning module."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Objective, ObjectiveOutput, over_sides
from optical_sweeps.objectives.interface import fresh
from optical_sweeps.training.optimiser import adamw, warmup_then_decay
from optical_sweeps.training.pairs import DistillationBatch
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.resuming import Resumable
from optical_sweeps.training.settings import TrainingSettings


class NotFinite(UserError):
    """A loss or a gradient norm is NaN or infinite."""


class Distillation(Resumable):
    """Trains the student on the sides that batches have; the teacher takes part through stored vectors alone.

    Args:
        student: the encoder that is trained, already frozen where the settings say so.
        objective: (student tokens, teacher tokens) -> loss and diagnostics; copied, as it may learn too.
        steps: optimiser steps of the whole run, for the schedule.
        wreck: folder that receives the batch of a step whose loss or gradient is not finite.
        ranks: the devices that share every batch.
    """

    def __init__(
        self,
        student: TokenEncoder,
        objective: Objective,
        settings: TrainingSettings,
        *,
        steps: int,
        wreck: Path,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.student = student
        self.objective = fresh(objective)
        self.settings = settings
        self.steps = steps
        self.wreck = wreck
        self.ranks = ranks
        self.output: ObjectiveOutput | None = None
        self.weight = 1.0
        self.gradient_norm = 0.0
        self._batch: DistillationBatch | None = None

    def training_step(self, batch: DistillationBatch, batch_idx: int) -> Tensor:
        self._batch, self.weight = batch, batch.weight
        self.output = self._output(batch)
        if self.ranks.any(not torch.isfinite(self.output.loss)):
            self._stop("loss", float(self.output.loss.detach()))
        return self.output.loss if self.weight == 1.0 else self.output.loss * self.weight

    def _output(self, batch: DistillationBatch) -> ObjectiveOutput:
        sides: dict[str, tuple[TokenEmbeddings, TokenEmbeddings]] = {}
        own: dict[str, dict[str, Any]] = {}
        for side, of in batch.sides.items():
            sides[side] = (self.student(of.student), of.teacher)
            if of.student_english is not None:
                own[side] = {"student_english": self.student(of.student_english)}
        context = {} if batch.documents is None else {"documents": batch.documents}
        return over_sides(self.objective, sides, batch.english, own, **context)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        # fp16's scaler skips steps of infinite gradients by itself
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        self.gradient_norm = float(torch.nn.utils.get_total_norm(gradients))
        if self.settings.precision != "16-mixed" and not math.isfinite(self.gradient_norm):
            self._stop("gradient norm", self.gradient_norm)

    def configure_optimizers(self) -> Any:
        optimiser = adamw(self.parameters(), self.settings)
        schedule = warmup_then_decay(optimiser, self.settings, self.steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(
        self, batch: DistillationBatch, device: torch.device, dataloader_idx: int
    ) -> DistillationBatch:
        return batch.to(device)

    def _stop(self, what: str, value: float) -> None:
        """Save the batch that broke the run, then stop it."""
        batch, output = self._batch, self.output
        assert batch is not None
        assert output is not None
        self.wreck.mkdir(parents=True, exist_ok=True)
        whose = "" if self.ranks.is_first else f".{self.ranks.rank}"  # all stop where one has to
        tensors = {"items": batch.items}
        for side, of in batch.sides.items():
            prefix = "" if len(batch.sides) == 1 else f"{side}."
            tensors |= {
                f"{prefix}input_ids": of.student.input_ids,
                f"{prefix}attention_mask": of.student.attention_mask,
                f"{prefix}teacher_vectors": of.teacher.vectors,
                f"{prefix}teacher_mask": of.teacher.mask,
            }
        save_file(tensors, self.wreck / f"batch{whose}.safetensors")
        # as text: JSON has no NaN
        diagnostics = {name: str(float(value)) for name, value in output.diagnostics.items()}
        report = {"step": self.step, what: str(value), "diagnostics": diagnostics}
        (self.wreck / f"report{whose}.json").write_text(json.dumps(report, indent=2))
        raise NotFinite(
            f"training: the {what} is {value} at step {self.step}; its batch is saved in "
            f"{self.wreck}; try a lower training.learning_rate, training.gradient_clip or "
            "training.precision=32-true"
        )
