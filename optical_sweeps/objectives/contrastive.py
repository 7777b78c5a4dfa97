"""Contrastive knowledge distillation: in-batch InfoNCE on MaxSim scores against the teacher.

InfoNCE: van den Oord, Li and Vinyals 2018, arXiv 1807.03748, equation 4. MaxSim: Khattab and Zaharia 2020,
arXiv 2004.12832, equation 3.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from optical_sweeps.checks import positive_number
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.interface import ObjectiveOutput


@dataclass(frozen=True)
class Contrastive:
    """The teacher's tokens of the right translation must score above those of the batch's other sentences.

    Scores are MaxSim averaged over the student's tokens, so that the temperature means the same for short and
    long sentences. Two pairs of one English text (the same sentence in two languages) are never each other's
    negatives.

    Args:
        temperature: divides the scores; greater than 0.
    """

    temperature: float = 0.05
    name: ClassVar[str] = "contrastive"
    trains: ClassVar[bool] = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        positive_number("objective.temperature", self.temperature)

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        scores = mean_maxsim(student, teacher)
        loss = in_batch_cross_entropy(scores / self.temperature, english)
        positive = scores.diagonal().mean().detach()
        accuracy = (scores.argmax(-1) == torch.arange(len(scores), device=scores.device)).float().mean()
        return ObjectiveOutput(loss, {"positive_score": positive, "in_batch_accuracy": accuracy})


def mean_maxsim(queries: TokenEmbeddings, documents: TokenEmbeddings) -> Float[Tensor, "Q D"]:
    """MaxSim of every query with every document, averaged over the query's tokens; at most 1."""
    with torch.autocast(queries.vectors.device.type, enabled=False):
        cosines = torch.einsum("qnd,pmd->qpnm", queries.vectors.float(), documents.vectors.float())
    # -inf before the max: a zero would win over real tokens whose cosines are all negative
    best = cosines.masked_fill(~documents.mask[None, :, None, :], -torch.inf).amax(-1)
    mask = queries.mask[:, None, :]
    return torch.where(mask, best, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


def in_batch_cross_entropy(logits: Float[Tensor, "B B"], group: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """Cross entropy with the diagonal as the targets, without negatives of the row's own group."""
    return cross_entropy(
        logits.masked_fill(_false_negatives(group), -torch.inf),
        torch.arange(len(logits), device=logits.device),
    )


def _false_negatives(group: Int[Tensor, " B"]) -> Bool[Tensor, "B B"]:
    return (group[:, None] == group[None, :]) & ~torch.eye(len(group), dtype=torch.bool, device=group.device)
