"""Zero-shot: the student stays what it was initialised from."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.interface import ObjectiveOutput


@dataclass(frozen=True)
class NoDistillation:
    """The reference every distillation has to beat; runs with it train nothing."""

    name: ClassVar[str] = "none"
    trains: ClassVar[bool] = False

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        return ObjectiveOutput(loss=(student.vectors * 0).sum())
