"""Contrastive knowledge distillation: InfoNCE on scores between student and teacher.

InfoNCE: van den Oord, Li and Vinyals 2018, arXiv 1807.03748, equation 4. Learned temperature, and both
directions: Radford et al. 2021 (CLIP), arXiv 2103.00020.

Shape legend: B pairs, G texts of all devices, D candidate texts.
"""

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optical_sweeps.checks import NonNegativeFloat, NonNegativeInt, PositiveFloat
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.devices import first_row, gathered, gathered_tokens, mean_vector
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.negatives import NegativeQueue, concatenated
from optical_sweeps.objectives.scores import SCORES, ScoreName, centred, plan_diagnostics
from optical_sweeps.settings import settings

_LEAST_TEMPERATURE = 0.01  # CLIP's bound on the learned temperature, below which its training was unstable


@settings("objective", frozen=False, eq=False)
class Contrastive(nn.Module):
    """The teacher's tokens of the right translation must score higher than those of other sentences.

    Scores are averages over tokens, so that the temperature means the same for short and long sentences. Two
    pairs of one English text (the same sentence in two languages) are never each other's negatives. Negatives
    come from all devices that share the batch.

    Args:
        temperature: divides the scores; the initial value if it is learned.
        scores: `maxsim`, `nearest_both` (MaxSim in both directions), `ot` (the exact transport plan of every
            pair of texts, a constant), `hard` (the plan's largest link of each token), or `pooled` (cosine of
            mean token vectors).
        centre: `both` subtracts the teacher's mean token vector of the batch from both sides; `none` does not.
        symmetric: average with the other direction, from the teacher's texts to the student's.
        learn_temperature: train log(1 / temperature) with the student; the temperature stays at .01 or above.
        queue: number of most recent teacher texts of earlier steps that serve as negatives too.
        english_weight: weight of the English term; see `distil`.
        name: the objective's name in tables and figures.
    """

    temperature: PositiveFloat = 0.05
    scores: ScoreName = "maxsim"
    symmetric: bool = False
    learn_temperature: bool = False
    queue: NonNegativeInt = 0
    english_weight: NonNegativeFloat = 0.0
    centre: Literal["none", "both"] = "none"
    name: str = "contrastive"
    trains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__init__()
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
        if self.centre == "both":
            mean = mean_vector(teacher.vectors[teacher.mask])
            student, teacher, candidates = (centred(x, mean) for x in (student, teacher, candidates))
        scores = score(student, candidates)
        loss = candidate_cross_entropy(scores / temperature, english, candidate_ids, right)
        if self.symmetric:
            backward = score(teacher, gathered_tokens(student))
            loss = (loss + candidate_cross_entropy(backward / temperature, english, ids, right)) / 2
        diagnostics = {
            "positive_score": scores.detach().gather(1, right[:, None]).mean(),
            "in_batch_accuracy": (scores.argmax(-1) == right).float().mean(),
            **plan_diagnostics(self.scores, student, teacher),
        }
        if isinstance(temperature, Tensor):
            diagnostics["temperature"] = temperature.detach()
        if self._queue is not None:
            diagnostics["queued_negatives"] = scores.new_tensor(float(candidate_ids.numel() - ids.numel()))
        return ObjectiveOutput(loss, diagnostics)

    def remember(self, teacher: TokenEmbeddings, english: Int[Tensor, " B"]) -> None:
        """Put the teacher's texts of all devices into the queue."""
        if self._queue is not None and self.training:
            self._queue.push(gathered_tokens(teacher), gathered(english))

    def _temperature(self) -> float | Float[Tensor, ""]:
        if not self.learn_temperature:
            return self.temperature
        return torch.exp(-self.log_scale.clamp(max=-math.log(_LEAST_TEMPERATURE)))

    def _with_queue(
        self, texts: TokenEmbeddings, ids: Int[Tensor, " G"]
    ) -> tuple[TokenEmbeddings, Int[Tensor, " D"]]:
        if self._queue is None or not len(self._queue):
            return texts, ids
        queued, queued_ids = self._queue.content()
        return concatenated(texts, queued), torch.cat([ids, queued_ids])


def candidate_cross_entropy(
    logits: Float[Tensor, "B D"],
    groups: Int[Tensor, " B"],
    candidate_groups: Int[Tensor, " D"],
    right: Int[Tensor, " B"],
) -> Float[Tensor, ""]:
    """Cross entropy of each row's right candidate among the candidates of other groups.

    Args:
        groups: group of each row; its other candidates of this group are left out.
        right: column of each row's right candidate.
    """
    own_group = groups[:, None] == candidate_groups[None, :]
    false_negatives = own_group.scatter(1, right[:, None], False)
    return cross_entropy(logits.masked_fill(false_negatives, -torch.inf), right)
