"""A weighted sum of objectives."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Int
from torch import Tensor, nn

from optical_sweeps.checks import number_between
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.objectives.interface import Objective, ObjectiveOutput, needs


@dataclass(eq=False)
class Combination(nn.Module):
    """loss = sum over names of weight * loss of that objective; each one's diagnostics go by `name_`.

    An objective of weight 0 is not called, so that a sweep over weights may pass through 0.

    Args:
        objectives: by names of your choice.
        weights: of each name, from 0 up, not all 0.

    Raises:
        UserError: nothing to combine, a weight missing or below 0, or an objective that trains nothing.
    """

    objectives: Mapping[str, Objective]
    weights: Mapping[str, float]
    name: ClassVar[str] = "combination"
    trains: ClassVar[bool] = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        super().__init__()
        if not self.objectives:
            raise UserError("objective.objectives: nothing to combine; name objectives, or choose one alone")
        for name in sorted({*self.objectives} ^ {*self.weights}):
            missing, present = (
                ("weights", "objectives") if name in self.objectives else ("objectives", "weights")
            )
            raise UserError(
                f"objective.{missing}.{name}: missing, but objective.{present}.{name} is there; add it"
            )
        for name, objective in self.objectives.items():
            number_between(f"objective.weights.{name}", self.weights[name], 0.0, math.inf)
            if not objective.trains:
                raise UserError(f"objective.objectives.{name}: {objective.name} trains nothing; remove it")
        self._active = {name: objective for name, objective in self.objectives.items() if self.weights[name]}
        if not self._active:
            raise UserError("objective.weights: all are 0; raise one, or set objective=none")
        stateful = {name: part for name, part in self._active.items() if isinstance(part, nn.Module)}
        self.parts = nn.ModuleDict(stateful)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(needs(part) for part in self._active.values()))

    @property
    def expected_dim(self) -> int | None:
        """Dimensions that a part was made for; None for any."""
        dims = (getattr(part, "expected_dim", None) for part in self._active.values())
        return next((dim for dim in dims if dim is not None), None)

    def forward(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"], **context: Any
    ) -> ObjectiveOutput:
        losses, named = [], {}
        for name, part in self._active.items():
            own = {need: context[need] for need in needs(part)}
            output = part(student, teacher, english, **own)
            losses.append(self.weights[name] * output.loss)
            named[f"{name}_loss"] = output.loss.detach()
            named |= {f"{name}_{key}": value for key, value in output.diagnostics.items()}
        return ObjectiveOutput(sum(losses[1:], losses[0]), named)
