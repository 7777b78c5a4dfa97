"""DR.DECR's distillation: greedy one-to-one alignment of tokens, then their squared error.

Li et al. 2022, "Learning Cross-Lingual IR from an English Retriever", NAACL, arXiv 2112.08185.

Shape legend: B pairs, n student tokens, m teacher tokens, d dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.costs import cosine_cost, squared_euclidean_cost
from optical_sweeps.objectives.interface import ObjectiveOutput


@dataclass(frozen=True)
class GreedyAlign:
    """loss = mean over pairs of the mean over aligned tokens (i, j) of |s_i - t_j|^2.

    The most similar two tokens are aligned, then the most similar two of those left, and so on until one side
    is used up: a matching that is never cheaper than the exact one (`optical` with `exact` on equal lengths).
    The alignment is a constant of the gradient. Tokens left over on the longer side learn nothing.
    """

    name: ClassVar[str] = "greedy_align"
    trains: ClassVar[bool] = True

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        cosines = 1 - cosine_cost(student.vectors, teacher.vectors)
        aligned = greedy_matching(cosines.detach(), student.mask, teacher.mask)
        errors = squared_euclidean_cost(student.vectors, teacher.vectors)
        links = aligned.sum((1, 2)).clamp(min=1)
        loss = (torch.where(aligned, errors, 0.0).sum((1, 2)) / links).mean()
        similarity = torch.where(aligned, cosines.detach(), 0.0).sum((1, 2)) / links
        left_over = 1 - links / student.mask.sum(1).clamp(min=1)
        return ObjectiveOutput(
            loss, {"aligned_cosine": similarity.mean(), "unaligned_student_tokens": left_over.mean()}
        )


def greedy_matching(
    similarity: Float[Tensor, "B n m"], rows: Bool[Tensor, "B n"], columns: Bool[Tensor, "B m"]
) -> Bool[Tensor, "B n m"]:
    """One-to-one links, the most similar first; min(n, m) of the real tokens are linked.

    All problems of a batch take a step together: as many argmaxes as the longest has links, no loop over pairs.

    >>> real = torch.ones(1, 2, dtype=torch.bool)
    >>> greedy_matching(torch.tensor([[[0.9, 0.8], [0.8, 0.1]]]), real, real).nonzero()[:, 1:].tolist()
    [[0, 0], [1, 1]]
    """
    batch, n, m = similarity.shape
    left = similarity.masked_fill(~(rows.unsqueeze(2) & columns.unsqueeze(1)), -torch.inf)
    aligned = torch.zeros_like(left, dtype=torch.bool)
    each = torch.arange(batch, device=similarity.device)
    for _ in range(min(n, m)):
        best, where = left.flatten(1).max(1)
        i, j = where // m, where % m
        aligned[each, i, j] |= best > -torch.inf
        left[each, i] = -torch.inf
        left[each, :, j] = -torch.inf
    return aligned
