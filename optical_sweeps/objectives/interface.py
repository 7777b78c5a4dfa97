"""The interface of a distillation objective.

An objective without state is a frozen settings class. One with state is an `nn.Module`: its parameters (a
learned temperature or cost) are trained by the student's optimiser, its buffers may hold a queue of negatives.

Shape legend: B pairs of a batch, D documents.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError

NEEDS = ("documents", "student_english")
"""What an objective may need besides the pairs, by name of its keyword argument: mined `Documents`, and the
student's `TokenEmbeddings` of the English texts."""


@dataclass(frozen=True)
class ObjectiveOutput:
    """The loss of a batch, and diagnostics.

    Args:
        loss: mean over the batch's pairs, differentiable with respect to the student's vectors.
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
    """The distinct documents that were mined for the pairs of a batch.

    Args:
        tokens: the teacher's vectors of the documents, encoded as documents, without gradient.
        candidates: whether a document was mined for a pair; each pair has at least one.
        ids: id of each document; equal ids are the same document, also across devices.
    """

    tokens: TokenEmbeddings
    candidates: Bool[Tensor, "B D"]
    ids: Int[Tensor, " D"]


@runtime_checkable
class Objective(Protocol):
    """A loss between the student's tokens of a sentence and the teacher's tokens of its English translation."""

    @property
    def name(self) -> str:
        """The name by which tables and figures know the objective."""
        ...

    trains: ClassVar[bool]
    """False for an objective that trains nothing (zero-shot)."""

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


@runtime_checkable
class Remembers(Protocol):
    """An objective that keeps texts of a step for later steps."""

    def remember(self, teacher: TokenEmbeddings, english: Int[Tensor, " B"]) -> None:
        """Called once a step, after every term of the loss; keeps nothing in evaluation mode."""
        ...


def needs(objective: Objective) -> frozenset[str]:
    """The names of `NEEDS` that an objective takes as keyword arguments; most objectives take none.

    >>> from optical_sweeps.objectives import Contrastive, ScoreKL
    >>> sorted(needs(Contrastive())), sorted(needs(ScoreKL(documents="mined", english_weight=1.0)))
    ([], ['documents', 'student_english'])
    """
    own = frozenset(getattr(objective, "needs", ()))
    return own | {"student_english"} if english_weight(objective) else own


def english_weight(objective: Objective) -> float:
    """The weight of an objective's English term; 0 if it has none."""
    return float(getattr(objective, "english_weight", 0.0))


def distil(
    objective: Objective,
    student: TokenEmbeddings,
    teacher: TokenEmbeddings,
    english: Int[Tensor, " B"],
    context: Mapping[str, TokenEmbeddings | Documents],
) -> ObjectiveOutput:
    """The loss of a batch with the objective's English term.

    The loss is L(student(x), teacher(y)) + w L(student(y), teacher(y)) for a sentence x and its English
    translation y (the two terms of Reimers and Gurevych 2020, arXiv 2004.09813, equation 1, for any L), where w
    is `english_weight`. A weight of 0 computes nothing else.

    Args:
        context: everything of `NEEDS` that the batch has, by name.
    """
    needed = {name: context[name] for name in getattr(objective, "needs", ())}
    output = objective(student, teacher, english, **needed)
    if weight := english_weight(objective):
        own = context["student_english"]
        assert isinstance(own, TokenEmbeddings)
        term = objective(own, teacher, english, **needed).loss
        diagnostics = {"translated_loss": output.loss.detach(), "english_loss": term.detach()}
        output = ObjectiveOutput(output.loss + weight * term, {**output.diagnostics, **diagnostics})
    if isinstance(objective, Remembers):
        objective.remember(teacher, english)
    return output


def check(objective: Objective, dim: int | None, sides: Collection[str]) -> None:
    """Refuse an objective that the batches of a run cannot serve.

    Args:
        dim: dimensions of the encoder's token vectors; None if only the teacher's checkpoint knows them.
        sides: sides of retrieval that the student learns.

    Raises:
        UserError: the objective has unknown needs, was made for vectors of other dimensions, or does not apply
            to these sides.
    """
    if unknown := sorted(needs(objective) - set(NEEDS)):
        raise UserError(
            f"objective: {objective.name} needs {', '.join(unknown)}, but batches have only "
            f"{' and '.join(NEEDS)}; choose another objective"
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
    required = getattr(objective, "expected_dim", None)
    if dim is not None and required not in (None, dim):
        raise UserError(
            f"objective.dim: {required}, but encoder.dim is {dim}; set objective.dim=${{encoder.dim}}"
        )
