"""A weighted sum of objectives."""

import math
from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import Int
from torch import Tensor, nn

from optical_sweeps.checks import number_between
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.objectives.interface import Documents, Objective, ObjectiveOutput, distil, needs
from optical_sweeps.settings import key_of, settings


@settings("objective", frozen=False, eq=False)
class Combination(nn.Module):
    """loss = sum over names of weight * loss of that objective; diagnostics are named `name_diagnostic`.

    An objective of weight 0 is not computed, so that a sweep over weights may include 0.

    Args:
        objectives: objectives by name.
        weights: the weight of each name, at least 0 and not all 0.

    Raises:
        UserError: no objective, a missing or negative weight, or an objective that trains nothing.
    """

    objectives: Mapping[str, Objective]
    weights: Mapping[str, float]
    name: ClassVar[str] = "combination"
    trains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__init__()
        if not self.objectives:
            raise UserError(
                f"{key_of('objectives')}: nothing to combine; name objectives, or choose one instead"
            )
        for name in sorted({*self.objectives} ^ {*self.weights}):
            missing, present = (
                ("weights", "objectives") if name in self.objectives else ("objectives", "weights")
            )
            raise UserError(f"{key_of(missing)}.{name}: missing, but {key_of(present)}.{name} is set; add it")
        for name, objective in self.objectives.items():
            number_between(f"{key_of('weights')}.{name}", self.weights[name], 0.0, math.inf)
            if not objective.trains:
                raise UserError(f"{key_of('objectives')}.{name}: {objective.name} trains nothing; remove it")
        self._active = {name: objective for name, objective in self.objectives.items() if self.weights[name]}
        if not self._active:
            raise UserError(f"{key_of('weights')}: all are 0; raise one, or set objective=none")
        stateful = {name: part for name, part in self._active.items() if isinstance(part, nn.Module)}
        self.parts = nn.ModuleDict(stateful)

    @property
    def needs(self) -> frozenset[str]:
        """What the parts need; each part has its own English term."""
        return frozenset().union(*(needs(part) for part in self._active.values()))

    @property
    def expected_dim(self) -> int | None:
        """Dimensions that a part requires; None for any."""
        dims = (getattr(part, "expected_dim", None) for part in self._active.values())
        return next((dim for dim in dims if dim is not None), None)

    def forward(
        self,
        student: TokenEmbeddings,
        teacher: TokenEmbeddings,
        english: Int[Tensor, " B"],
        **context: TokenEmbeddings | Documents,
    ) -> ObjectiveOutput:
        losses, diagnostics = [], {}
        for name, part in self._active.items():
            output = distil(part, student, teacher, english, context)
            losses.append(self.weights[name] * output.loss)
            diagnostics[f"{name}_loss"] = output.loss.detach()
            diagnostics |= {f"{name}_{key}": value for key, value in output.diagnostics.items()}
        return ObjectiveOutput(sum(losses[1:], losses[0]), diagnostics)
