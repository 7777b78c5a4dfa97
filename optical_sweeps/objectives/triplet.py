"""Triplet loss between student and teacher.

Oki, Abe, Miyao and Kurita 2020, "Triplet Loss for Knowledge Distillation", arXiv 2004.08116.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from optical_sweeps.checks import number_between, one_of
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.devices import first_row, gathered, gathered_tokens
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.scores import SCORES


@dataclass(frozen=True)
class Triplet:
    """loss = mean over pairs and their negatives of max(0, d(s, t+) - d(s, t-) + margin), d = 1 - score.

    The anchor s is the student's sentence, the positive t+ the teacher's translation of it, a negative t- the
    teacher's text of another pair of the batch (of all devices), never the same English text. Which of the
    three is the anchor, and d, are choices of ours.

    Args:
        margin: by how much the positive must be nearer; from 0 up. Scores are at most 1.
        negatives: `all`, or the `hardest` of each pair (the nearest).
        scores: `pooled` (cosine of mean token vectors) or `maxsim`.
    """

    margin: float = 0.2
    negatives: str = "all"
    scores: str = "pooled"
    name: ClassVar[str] = "triplet"
    trains: ClassVar[bool] = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        number_between("objective.margin", self.margin, 0.0, math.inf)
        one_of("objective.negatives", self.negatives, ("all", "hardest"))
        one_of("objective.scores", self.scores, SCORES)

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
