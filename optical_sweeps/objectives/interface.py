"""What a distillation objective takes and returns."""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings


@dataclass(frozen=True)
class ObjectiveOutput:
    """A loss to descend and what to watch beside it.

    Args:
        loss: mean over the batch's pairs, differentiable in the student's vectors.
        diagnostics: named scalars, detached.
    """

    loss: Float[Tensor, ""]
    diagnostics: dict[str, Float[Tensor, ""]] = field(default_factory=dict)


@runtime_checkable
class Objective(Protocol):
    """Pulls the student's tokens of a sentence towards the teacher's tokens of its English translation."""

    name: ClassVar[str]
    trains: ClassVar[bool]
    """False for an objective that leaves the student as it is (zero-shot)."""

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        """Score one batch.

        Args:
            student: tokens of the sentences in their own languages.
            teacher: tokens of their English translations, pair by pair, without gradient.
            english: an id of each English text; equal ids are the same text.
        """
        ...
