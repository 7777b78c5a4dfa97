"""Distillation of retrieval scores: the student's distribution over documents towards the teacher's.

Li et al. 2022 (DR.DECR), arXiv 2112.08185, after Hinton, Vinyals and Dean 2015, arXiv 1503.02531.

Shape legend: B pairs, D documents.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.checks import one_of, positive_number
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.devices import gathered, gathered_tokens
from optical_sweeps.objectives.interface import Documents, ObjectiveOutput
from optical_sweeps.objectives.negatives import joined
from optical_sweeps.objectives.scores import SCORES


@dataclass(frozen=True)
class ScoreKL:
    """loss = mean over pairs of KL(p_teacher | p_student), p = softmax over documents of score / T.

    The student is scored on its sentence, the teacher on the English translation, both against the teacher's
    documents. In-batch documents are the batch's English texts (of all devices), each once; mined documents
    are those that were mined for the batch's pairs.

    Args:
        temperature: T, divides the scores; greater than 0. Scores are averages over query tokens: DR.DECR's
            T = 2 on sums over 32 tokens is 2 / 32 here.
        documents: `in_batch`, `mined` (each pair's own), or `both` (with all mined ones, of all devices).
        scores: `maxsim` or `pooled`.
    """

    temperature: float = 0.0625
    documents: str = "in_batch"
    scores: str = "maxsim"
    name: ClassVar[str] = "score_kl"
    trains: ClassVar[bool] = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        positive_number("objective.temperature", self.temperature)
        one_of("objective.documents", self.documents, ("in_batch", "mined", "both"))
        one_of("objective.scores", self.scores, SCORES)

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
        """The documents, and which of them count for which pair."""
        if self.documents != "in_batch" and documents is None:
            raise ValueError(f"documents={self.documents} needs documents")
        if self.documents == "mined":
            assert documents is not None
            return documents.tokens, documents.candidates
        texts, ids = gathered_tokens(teacher), gathered(english)
        counted = first_of_each(ids).expand(len(english), -1)
        if documents is None or self.documents == "in_batch":
            return texts, counted
        found = first_of_each(gathered(documents.ids)).expand(len(english), -1)
        return joined(texts, gathered_tokens(documents.tokens)), torch.cat([counted, found], 1)


def divergence(target: Float[Tensor, "B D"], other: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """KL(target | other) of log probabilities, in nats; both may be -inf at the same places."""
    possible = target > -torch.inf
    gap = torch.where(possible, target, 0.0) - torch.where(possible, other, 0.0)
    return torch.where(possible, target.exp() * gap, 0.0).sum(-1)


def first_of_each(ids: Int[Tensor, " D"]) -> Bool[Tensor, " D"]:
    """Where each id stands for the first time.

    >>> first_of_each(torch.tensor([7, 8, 7]))
    tensor([ True,  True, False])
    """
    same = ids[:, None] == ids[None, :]
    return ~same.tril(-1).any(1)


def _log_shares(logits: Float[Tensor, "B D"], counted: Bool[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    return logits.masked_fill(~counted, -torch.inf).log_softmax(-1)
