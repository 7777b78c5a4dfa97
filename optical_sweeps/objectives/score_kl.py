"""Distillation of retrieval scores: the student learns the teacher's distribution over documents.

Li et al. 2022 (DR.DECR), arXiv 2112.08185, after Hinton, Vinyals and Dean 2015, arXiv 1503.02531.

Shape legend: B pairs, D documents.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.checks import NonNegativeFloat, PositiveFloat
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.devices import gathered, gathered_tokens
from optical_sweeps.objectives.interface import Documents, ObjectiveOutput
from optical_sweeps.objectives.negatives import concatenated
from optical_sweeps.objectives.scores import SCORES, ScoreName
from optical_sweeps.settings import settings


@settings("objective")
class ScoreKL:
    """loss = mean over pairs of KL(p_teacher | p_student), p = softmax over documents of score / T.

    The student scores its sentence, the teacher the English translation, both against the teacher's documents.
    In-batch documents are the distinct English texts of the batch (of all devices); mined documents are those
    that were mined for the batch's pairs.

    Args:
        temperature: T, which divides the scores. Scores are averages over query tokens, so DR.DECR's T = 2 on
            sums over 32 tokens is 2 / 32 here.
        documents: `in_batch`, `mined` (those mined for the pair itself), or `both` (with those mined for
            any pair on any device).
        scores: `maxsim` or `pooled`.
        english_weight: weight of the English term; see `distil`.
    """

    temperature: PositiveFloat = 0.0625
    documents: Literal["in_batch", "mined", "both"] = "in_batch"
    scores: ScoreName = "maxsim"
    english_weight: NonNegativeFloat = 0.0
    name: ClassVar[str] = "score_kl"
    trains: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(() if self.documents == "in_batch" else {"documents"})

    def __call__(
        self,
        student: TokenEmbeddings,
        teacher: TokenEmbeddings,
        english: Int[Tensor, " B"],
        *,
        documents: Documents | None = None,
    ) -> ObjectiveOutput:
        texts, counted = self._texts(teacher, english, documents)
        score = SCORES[self.scores]
        ours = _log_shares(score(student, texts) / self.temperature, counted)
        theirs = _log_shares(score(teacher, texts) / self.temperature, counted)
        loss = divergence(theirs, ours).mean()
        entropy = torch.special.entr(theirs.exp()).sum(-1).mean()
        agree = (ours.argmax(-1) == theirs.argmax(-1)).float().mean()
        return ObjectiveOutput(loss, {"teacher_entropy": entropy.detach(), "same_best_document": agree})

    def _texts(
        self, teacher: TokenEmbeddings, english: Int[Tensor, " B"], documents: Documents | None
    ) -> tuple[TokenEmbeddings, Bool[Tensor, "B D"]]:
        """The documents, and a mask of those that count for each pair."""
        if self.documents != "in_batch" and documents is None:
            raise ValueError(f"documents={self.documents} needs documents")
        if self.documents == "mined":
            assert documents is not None
            return documents.tokens, documents.candidates
        texts, ids = gathered_tokens(teacher), gathered(english)
        counted = first_of_each(ids).expand(len(english), -1)
        if documents is None or self.documents == "in_batch":
            return texts, counted
        mined = first_of_each(gathered(documents.ids)).expand(len(english), -1)
        return concatenated(texts, gathered_tokens(documents.tokens)), torch.cat([counted, mined], 1)


def divergence(target: Float[Tensor, "B D"], other: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """KL(target | other) of log probabilities, in nats; both may be -inf at the same positions."""
    possible = target > -torch.inf
    gap = torch.where(possible, target, 0.0) - torch.where(possible, other, 0.0)
    return torch.where(possible, target.exp() * gap, 0.0).sum(-1)


def first_of_each(ids: Int[Tensor, " D"]) -> Bool[Tensor, " D"]:
    """A mask of the first occurrence of each id.

    >>> first_of_each(torch.tensor([7, 8, 7]))
    tensor([ True,  True, False])
    """
    same = ids[:, None] == ids[None, :]
    return ~same.tril(-1).any(1)


def _log_shares(logits: Float[Tensor, "B D"], counted: Bool[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    return logits.masked_fill(~counted, -torch.inf).log_softmax(-1)
