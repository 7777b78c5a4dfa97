"""What a distillation objective takes, asks for and returns.

An objective is a frozen dataclass, or an `nn.Module` where it has a state of its own: parameters, trained by
the student's optimiser (a learned temperature or cost), and buffers (a queue of negatives).
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError

NEEDS = {
    "documents": "mined documents (`Documents`)",
    "student_english": "the student's tokens of the English texts (`TokenEmbeddings`)",
}
"""What an objective may ask for beside the pairs; each is a keyword argument of that name."""


@dataclass(frozen=True)
class ObjectiveOutput:
    """A loss to descend and what to watch beside it.

    Args:
        loss: mean over the batch's pairs, differentiable in the student's vectors.
        diagnostics: named scalars, detached.
    """

    loss: Float[Tensor, ""]
    diagnostics: dict[str, Float[Tensor, ""]] = field(default_factory=dict)


def mean_output(outputs: Mapping[str, ObjectiveOutput]) -> ObjectiveOutput:
    """The mean of the losses of several sides of retrieval; diagnostics are then named `side_diagnostic`."""
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    losses = [output.loss for output in outputs.values()]
    diagnostics = {
        f"{side}_{name}": value
        for side, output in outputs.items()
        for name, value in output.diagnostics.items()
    }
    return ObjectiveOutput(sum(losses[1:], losses[0]) / len(losses), diagnostics)


@dataclass(frozen=True)
class Documents:
    """Documents that were mined for a batch's pairs, each once.

    Args:
        tokens: the teacher's document-side vectors of the D distinct documents, without gradient.
        candidates: which of them were mined for which pair; at least one for each.
        ids: of the documents; equal ids are the same document, also across devices.
    """

    tokens: TokenEmbeddings
    candidates: Bool[Tensor, "B D"]
    ids: Int[Tensor, " D"]


@runtime_checkable
class Objective(Protocol):
    """Pulls the student's tokens of a sentence towards the teacher's tokens of its English translation."""

    name: ClassVar[str]
    trains: ClassVar[bool]
    """False for an objective that leaves the student as it is (zero-shot)."""

    def __call__(
        self,
        student: TokenEmbeddings,
        teacher: TokenEmbeddings,
        english: Int[Tensor, " B"],
        **needs: TokenEmbeddings | Documents,
    ) -> ObjectiveOutput:
        """The loss and the diagnostics of one batch.

        Args:
            student: tokens of the sentences in their own languages.
            teacher: tokens of their English translations, pair by pair, without gradient.
            english: an id of each English text; equal ids are the same text, also across devices.
            needs: what the objective names in its `needs`, if it has any.
        """
        ...


def needs(objective: Objective) -> frozenset[str]:
    """The names of `NEEDS` without which the objective cannot be called; most have none.

    >>> from optical_sweeps.objectives import Contrastive, ScoreKL
    >>> sorted(needs(Contrastive())), sorted(needs(ScoreKL(documents="mined")))
    ([], ['documents'])
    """
    return frozenset(getattr(objective, "needs", ()))


def check(
    objective: Objective,
    brings: Collection[str] = (),
    dim: int | None = None,
    sides: Collection[str] = ("query",),
) -> None:
    """Refuse before training an objective that a batch cannot serve.

    Args:
        brings: the names of `NEEDS` that batches will carry.
        dim: dimensions of the encoder's token vectors; None where not known.
        sides: of retrieval that the student learns.

    Raises:
        UserError: something is missing, the objective was made for vectors of other dimensions, or it makes no
            sense over these sides.
    """
    for name in sorted(needs(objective) - set(brings)):
        raise UserError(
            f"objective: {objective.name} as configured needs {NEEDS[name]} in every batch, which this run's "
            "training does not bring; change the objective's settings or choose another"
        )
    if "documents" in needs(objective) and tuple(sides) != ("query",):
        raise UserError(
            f"student.side: {' and '.join(sides)}, but objective {objective.name} scores mined documents by "
            "queries; set student.side=query, or take the objective's documents from the batch"
        )
    if len(sides) > 1 and any(True for _ in getattr(objective, "buffers", tuple)()):
        raise UserError(
            f"student.side: both, but objective {objective.name} keeps texts of earlier steps as negatives, "
            "which would mix queries and documents; set student.side=query or document, or objective.queue=0"
        )
    own = getattr(objective, "expected_dim", None)
    if None not in (own, dim) and own != dim:
        raise UserError(f"objective.dim: {own}, but encoder.dim is {dim}; set objective.dim=${{encoder.dim}}")


def fresh(objective: Objective) -> Objective:
    """The objective with a state of its own: runs that share settings must not share what they learn."""
    return copy.deepcopy(objective)
