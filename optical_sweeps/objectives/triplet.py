"""Triplet loss between student and teacher.

Oki, Abe, Miyao and Kurita 2020, "Triplet Loss for Knowledge Distillation", arXiv 2004.08116.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from optical_sweeps.checks import NonNegativeFloat
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.devices import first_row, gathered, gathered_tokens
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.scores import SCORES, ScoreName
from optical_sweeps.settings import settings


@settings("objective")
class Triplet:
    """loss = mean over pairs and their negatives of max(0, d(s, t+) - d(s, t-) + margin), d = 1 - score.

    The anchor s is the student's sentence, the positive t+ the teacher's translation of it, and a negative t-
    the teacher's text of another pair of the batch (of all devices) with another English text. The paper leaves
    open the distance d and which of the three texts is the anchor.

    Args:
        margin: how much nearer the positive must be; scores are at most 1.
        negatives: `all`, or the `hardest` of each pair, which is the nearest.
        scores: `pooled` (cosine of mean token vectors) or `maxsim`.
        english_weight: weight of the English term; see `distil`.
    """

    margin: NonNegativeFloat = 0.2
    negatives: Literal["all", "hardest"] = "all"
    scores: ScoreName = "pooled"
    english_weight: NonNegativeFloat = 0.0
    name: ClassVar[str] = "triplet"
    trains: ClassVar[bool] = True

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        ids = gathered(english)
        scores = SCORES[self.scores](student, gathered_tokens(teacher))
        right = first_row(english) + torch.arange(len(english), device=english.device)
        positive = scores.gather(1, right[:, None])
        other = english[:, None] != ids[None, :]
        if self.negatives == "hardest":
            hardest = scores.detach().masked_fill(~other, -torch.inf).argmax(1, keepdim=True)
            other = other & torch.zeros_like(other).scatter(1, hardest, True)
        missing = torch.where(other, scores - positive + self.margin, 0.0).clamp(min=0)
        count = other.sum(1).clamp(min=1)
        loss = (missing.sum(1) / count).mean()
        active = ((missing > 0).sum(1) / count).mean()
        return ObjectiveOutput(loss, {"positive_score": positive.detach().mean(), "active_triplets": active})
