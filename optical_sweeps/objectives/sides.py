"""An objective over the sides of retrieval that a student learns."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Int
from torch import Tensor

from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.interface import Objective, ObjectiveOutput


def over_sides(
    objective: Objective,
    sides: Mapping[str, tuple[TokenEmbeddings, TokenEmbeddings]],
    english: Int[Tensor, " B"],
    own: Mapping[str, Mapping[str, Any]] | None = None,
    **context: Any,
) -> ObjectiveOutput:
    """The mean of the objective over sides; with one side, the objective itself.

    Args:
        sides: (student, teacher) tokens of the same pairs, encoded as queries, as documents, or as both. Where
            there are several, each one's diagnostics go by `side_`.
        own: what the objective needs of a side, by side.
        context: what it needs beside that, the same for all sides.
    """
    own = own or {}
    outputs = {
        side: objective(student, teacher, english, **own.get(side, {}), **context)
        for side, (student, teacher) in sides.items()
    }
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    losses = [output.loss for output in outputs.values()]
    named = {
        f"{side}_{name}": value
        for side, output in outputs.items()
        for name, value in output.diagnostics.items()
    }
    return ObjectiveOutput(sum(losses[1:], losses[0]) / len(losses), named)
