"""The aligner of a run or a checkpoint: its student and teacher, cost and solver."""

from collections.abc import Sequence

from optical_sweeps.console import echo
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.errors import UserError
from optical_sweeps.inspection.token_alignment import Aligner, english_mean
from optical_sweeps.objectives.optical import Optical
from optical_sweeps.runs.distillation.query_encoders import Encoders
from optical_sweeps.transport import Sinkhorn, Solver

CENTRING_TEXTS = 256
"""English texts of the bitext whose mean vector approximates the mean of training batches."""


def aligner_of(encoders: Encoders, language: str | None, solver: Solver | None) -> Aligner:
    """An aligner with the run's own cost and solver.

    Args:
        language: whose bitext centres the vectors; None is the corpus's first language.
        solver: replaces the run's own.
    """
    teacher = encoders.teacher or encoders.documents
    reads_queries = "query" in student_sides(encoders)
    return Aligner(
        student=encoders.queries if reads_queries else encoders.documents,
        teacher=teacher,
        optical=_optical(encoders, solver),
        mean=english_mean(teacher, _english_texts(encoders, language)),
        side="query" if reads_queries else "document",
    )


def student_sides(encoders: Encoders) -> Sequence[Side]:
    """The sides that the student encodes; the teacher encodes the others."""
    return ("query", "document") if encoders.trained is None else encoders.trained.student.sides


def _optical(encoders: Encoders, solver: Solver | None) -> Optical:
    """The run's cost and solver if it was distilled by transport; a learned cost is not stored with a run."""
    objective = encoders.trained.objective if encoders.trained else None
    if not isinstance(objective, Optical):
        return Optical(solver or Sinkhorn())
    if objective.cost == "learned":
        echo("  the run's learned cost is not stored; using cosine instead")
    cost = "cosine" if objective.cost == "learned" else objective.cost
    return Optical(solver or objective.solver, objective.centre, cost)


def _english_texts(encoders: Encoders, language: str | None) -> list[str]:
    """English texts of the bitext, or none if there is no bitext."""
    try:
        english = encoders.corpus.bitext(language or next(iter(encoders.corpus.languages))).english
    except UserError:
        return []
    return sorted(set(english[:CENTRING_TEXTS]))
