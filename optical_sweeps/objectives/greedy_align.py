"""DR.DECR's distillation: greedy one-to-one alignment of tokens, then their squared error.

Li et al. 2022, "Learning Cross-Lingual IR from an English Retriever", NAACL, arXiv 2112.08185.

Shape legend: B pairs, n student tokens, m teacher tokens, d dimensions.
"""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.checks import NonNegativeFloat
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.costs import cosine_cost, squared_euclidean_cost
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.settings import settings


@settings("objective")
class GreedyAlign:
    """loss = mean over pairs of the mean over aligned tokens (i, j) of |s_i - t_j|^2.

    The two most similar tokens are aligned, then the two most similar of the rest, and so on until one side has
    none left. This matching is never cheaper than the exact one (`optical` with `exact`, on equal lengths). The
    gradient treats the alignment as a constant. Unaligned tokens of the longer side learn nothing.

    Args:
        english_weight: weight of the English term; see `distil`.
    """

    english_weight: NonNegativeFloat = 0.0
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
        unaligned = 1 - links / student.mask.sum(1).clamp(min=1)
        return ObjectiveOutput(
            loss, {"aligned_cosine": similarity.mean(), "unaligned_student_tokens": unaligned.mean()}
        )


def greedy_matching(
    similarity: Float[Tensor, "B n m"], rows: Bool[Tensor, "B n"], columns: Bool[Tensor, "B m"]
) -> Bool[Tensor, "B n m"]:
    """Greedy one-to-one links between real tokens, the most similar first.

    The loop runs over links, for all pairs of the batch at once.

    Args:
        rows, columns: masks of the real tokens.

    >>> real = torch.ones(1, 2, dtype=torch.bool)
    >>> greedy_matching(torch.tensor([[[0.9, 0.8], [0.8, 0.1]]]), real, real).nonzero()[:, 1:].tolist()
    [[0, 0], [1, 1]]
    """
    batch, n, m = similarity.shape
    remaining = similarity.masked_fill(~(rows.unsqueeze(2) & columns.unsqueeze(1)), -torch.inf)
    aligned = torch.zeros_like(remaining, dtype=torch.bool)
    each = torch.arange(batch, device=similarity.device)
    for _ in range(min(n, m)):
        best, where = remaining.flatten(1).max(1)
        i, j = where // m, where % m
        aligned[each, i, j] |= best > -torch.inf
        remaining[each, i] = -torch.inf
        remaining[each, :, j] = -torch.inf
    return aligned
