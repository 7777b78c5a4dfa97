"""Mean squared error of pooled vectors.

Reimers and Gurevych 2020, "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation",
arXiv 2004.09813, section 2.
"""

from typing import ClassVar

from jaxtyping import Int
from torch import Tensor

from optical_sweeps.checks import NonNegativeFloat
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.scores import pooled, pooled_cosine
from optical_sweeps.settings import settings


@settings("objective")
class MSE:
    """loss = mean over pairs of |pool(student of the sentence) - pool(teacher of its translation)|^2.

    pool is the mean over the tokens of the mask; the squared error is summed over dimensions.

    Args:
        english_weight: weight of the English term, the paper's other term; see `distil`.
    """

    english_weight: NonNegativeFloat = 0.0
    name: ClassVar[str] = "mse"
    trains: ClassVar[bool] = True

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        error = (pooled(student) - pooled(teacher)).square().sum(-1).mean()
        cosine = pooled_cosine(student, teacher).diagonal().mean()
        return ObjectiveOutput(error, {"pooled_cosine": cosine.detach()})
