"""Zero-shot: the student stays as it was initialised."""

from typing import ClassVar

from jaxtyping import Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.settings import settings


@settings("objective")
class NoDistillation:
    """The reference that every distillation has to beat; runs with it train nothing."""

    name: ClassVar[str] = "none"
    trains: ClassVar[bool] = False

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        return ObjectiveOutput(loss=(student.vectors * 0).sum())
