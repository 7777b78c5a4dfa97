"""Mean squared error of pooled vectors.

Reimers and Gurevych 2020, "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation",
arXiv 2004.09813, section 2.
"""

from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.scores import pooled, pooled_cosine
from optical_sweeps.settings import settings


@settings("objective")
class MSE:
    """loss = mean over pairs of |pool(student of the sentence) - pool(teacher of its translation)|^2.

    pool is the mean over the tokens of the mask; the squared error is summed over dimensions.

    Args:
        english_term: add the paper's other term, |pool(student of the English text) - pool(teacher of it)|^2,
            which needs the student's tokens of the English texts.
    """

    english_term: bool = False
    name: ClassVar[str] = "mse"
    trains: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"student_english"} if self.english_term else ())

    def __call__(
        self,
        student: TokenEmbeddings,
        teacher: TokenEmbeddings,
        english: Int[Tensor, " B"],
        *,
        student_english: TokenEmbeddings | None = None,
    ) -> ObjectiveOutput:
        translated = squared_error(student, teacher)
        diagnostics = {"pooled_cosine": pooled_cosine(student, teacher).diagonal().mean().detach()}
        if not self.english_term:
            return ObjectiveOutput(translated, diagnostics)
        if student_english is None:
            raise ValueError("english_term needs student_english")
        original = squared_error(student_english, teacher)
        diagnostics |= {"translated_error": translated.detach(), "english_error": original.detach()}
        return ObjectiveOutput(translated + original, diagnostics)


def squared_error(student: TokenEmbeddings, teacher: TokenEmbeddings) -> Float[Tensor, ""]:
    """Mean over pairs of the squared distance of pooled vectors."""
    return (pooled(student) - pooled(teacher)).square().sum(-1).mean()
