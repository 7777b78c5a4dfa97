"""Contrastive knowledge distillation: InfoNCE on scores against the teacher.

InfoNCE: van den Oord, Li and Vinyals 2018, arXiv 1807.03748, equation 4. Learned temperature, and both
directions: Radford et al. 2021 (CLIP), arXiv 2103.00020.

Shape legend: B pairs, D candidate texts.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optical_sweeps.checks import one_of, positive_number, true_or_false, whole_number
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.devices import first_row, gathered, gathered_tokens
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.negatives import NegativeQueue, joined
from optical_sweeps.objectives.scores import SCORES, mean_maxsim

__all__ = ["Contrastive", "in_batch_cross_entropy", "mean_maxsim"]

_LEAST_TEMPERATURE = 0.01  # CLIP's bound on what is learned: below it training was unstable there


@dataclass(eq=False)
class Contrastive(nn.Module):
    """The teacher's tokens of the right translation must score above those of the batch's other sentences.

    Scores are averages over tokens, so that the temperature means the same for short and long sentences. Two
    pairs of one English text (the same sentence in two languages) are never each other's negatives. Negatives
    come from all devices that share the batch.

    Args:
        temperature: divides the scores; greater than 0. Where it is learned, its first value.
        scores: `maxsim` or `pooled` (cosine of mean token vectors).
        symmetric: average with the other direction, from the teacher's texts to the students'.
        learn_temperature: train log(1 / temperature) with the student; it stays at .01 or above.
        queue: so many of the newest teacher texts of earlier steps are negatives too; 0: none.
    """

    temperature: float = 0.05
    scores: str = "maxsim"
    symmetric: bool = False
    learn_temperature: bool = False
    queue: int = 0
    name: ClassVar[str] = "contrastive"
    trains: ClassVar[bool] = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        super().__init__()
        positive_number("objective.temperature", self.temperature)
        one_of("objective.scores", self.scores, SCORES)
        true_or_false("objective.symmetric", self.symmetric)
        true_or_false("objective.learn_temperature", self.learn_temperature)
        whole_number("objective.queue", self.queue, least=0)
        if self.learn_temperature:
            self.log_scale = nn.Parameter(torch.tensor(-math.log(self.temperature)))
        self._queue = NegativeQueue(self.queue) if self.queue else None

    def forward(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        score, temperature = SCORES[self.scores], self._temperature()
        texts, ids = gathered_tokens(teacher), gathered(english)
        right = first_row(english) + torch.arange(len(english), device=english.device)
        candidates, candidate_ids = self._with_queue(texts, ids)
        scores = score(student, candidates)
        loss = candidate_cross_entropy(scores / temperature, english, candidate_ids, right)
        if self.symmetric:
            backward = score(teacher, gathered_tokens(student))
            loss = (loss + candidate_cross_entropy(backward / temperature, english, ids, right)) / 2
        if self._queue is not None and self.training:
            self._queue.push(texts, ids)
        best = scores.detach().gather(1, right[:, None])
        named = {
            "positive_score": best.mean(),
            "in_batch_accuracy": (scores.argmax(-1) == right).float().mean(),
        }
        if isinstance(temperature, Tensor):
            named["temperature"] = temperature.detach()
        if self._queue is not None:
            named["queued_negatives"] = scores.new_tensor(float(candidate_ids.numel() - ids.numel()))
        return ObjectiveOutput(loss, named)

    def _temperature(self) -> float | Float[Tensor, ""]:
        if not self.learn_temperature:
            return self.temperature
        return torch.exp(-self.log_scale.clamp(max=-math.log(_LEAST_TEMPERATURE)))

    def _with_queue(
        self, texts: TokenEmbeddings, ids: Int[Tensor, " G"]
    ) -> tuple[TokenEmbeddings, Int[Tensor, " D"]]:
        if self._queue is None or not len(self._queue):
            return texts, ids
        kept, kept_ids = self._queue.content()
        return joined(texts, kept), torch.cat([ids, kept_ids])


def in_batch_cross_entropy(logits: Float[Tensor, "B B"], group: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """Cross entropy with the diagonal as the targets, without negatives of the row's own group."""
    return candidate_cross_entropy(logits, group, group, torch.arange(len(logits), device=logits.device))


def candidate_cross_entropy(
    logits: Float[Tensor, "B D"],
    groups: Int[Tensor, " B"],
    candidate_groups: Int[Tensor, " D"],
    right: Int[Tensor, " B"],
) -> Float[Tensor, ""]:
    """Cross entropy of each row's right candidate against those of other groups than its own."""
    own_group = groups[:, None] == candidate_groups[None, :]
    false_negatives = own_group.scatter(1, right[:, None], False)
    return cross_entropy(logits.masked_fill(false_negatives, -torch.inf), right)
