"""OPTICAL: distillation through a soft alignment of tokens.

Huang, Yu and Allan, "Improving Cross-lingual Information Retrieval on Low-Resource Languages via Optimal
Transport Distillation", WSDM 2023, arXiv 2301.12566.

Shape legend: B pairs, n student tokens, m teacher tokens, d dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from optical_sweeps.checks import one_of
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.transport import TransportPlan, TransportProblem


@dataclass(frozen=True)
class Optical:
    """loss = mean over pairs of <P*, C>, C_ij = 1 - cos(s_i, t_j), P* the transport plan of C, detached.

    P* minimises <P, C> (less eps times its entropy, for the entropic solvers) over plans whose marginals are
    uniform over each side's tokens. Since P* is detached, the gradient is the envelope gradient of the
    regularised optimum, not that of <P*(C), C>.

    Args:
        solver: from `optical_sweeps.transport`.
        centre: vectors of one encoder crowd in a cone (cosines .7 to .95), which flattens the plan. `plan`
            subtracts the teacher's mean token vector from both sides for the cost that the plan is found on;
            `both` for the loss's cost too; `none` never. The mean is the batch's: no state, and a student
            equal to its teacher still has zero cost.
    """

    solver: Callable[[TransportProblem], TransportPlan]
    centre: str = "plan"
    name: ClassVar[str] = "optical"
    trains: ClassVar[bool] = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        one_of("objective.centre", self.centre, ("none", "plan", "both"))

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        raw = cosine_cost(student.vectors, teacher.vectors)
        centred = raw if self.centre == "none" else _centred_cost(student, teacher)
        plan = self.solver(TransportProblem.uniform(centred.detach(), student.mask, teacher.mask))
        cost = centred if self.centre == "both" else raw
        loss = (plan.matrix.to(cost.dtype) * cost).sum((-2, -1)).mean()
        return ObjectiveOutput(loss, _diagnostics(plan, loss))


def cosine_cost(source: Float[Tensor, "B n d"], target: Float[Tensor, "B m d"]) -> Float[Tensor, "B n m"]:
    """1 - cos for vectors that are normalised already; in float32 whatever the autocast."""
    with torch.autocast(source.device.type, enabled=False):
        return 1 - source.float() @ target.float().mT


def _centred_cost(student: TokenEmbeddings, teacher: TokenEmbeddings) -> Float[Tensor, "B n m"]:
    mean = teacher.vectors[teacher.mask].mean(0)
    return cosine_cost(
        _recentre(student.vectors, student.mask, mean), _recentre(teacher.vectors, teacher.mask, mean)
    )


def _recentre(
    vectors: Float[Tensor, "B n d"], mask: Bool[Tensor, "B n"], mean: Float[Tensor, " d"]
) -> Float[Tensor, "B n d"]:
    return normalize((vectors - mean).float(), dim=-1) * mask.unsqueeze(-1)


def _diagnostics(plan: TransportPlan, loss: Tensor) -> dict[str, Tensor]:
    return {
        "plan_cost": loss.detach(),
        "plan_entropy": plan.entropy.mean(),
        "plan_marginal_error": plan.marginal_error.mean(),
        "plan_iterations": plan.iterations.float().mean(),
        "plan_converged": plan.converged.float().mean(),
    }
