"""OPTICAL: distillation through a soft alignment of tokens.

Huang, Yu and Allan, "Improving Cross-lingual Information Retrieval on Low-Resource Languages via Optimal
Transport Distillation", WSDM 2023, arXiv 2301.12566.

Shape legend: B pairs, n student tokens, m teacher tokens, d dimensions.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn, no_grad

from optical_sweeps.checks import Count, NonNegativeFloat
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.objectives.costs import COSTS, Cost, SubspaceCost
from optical_sweeps.objectives.devices import mean_vector
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.scores import centred
from optical_sweeps.settings import key_of, settings
from optical_sweeps.transport import (
    Exact,
    Partial,
    Sinkhorn,
    TransportPlan,
    TransportProblem,
    Unbalanced,
    implicit_plan,
    unrolled_plan,
)

Solver = Callable[[TransportProblem], TransportPlan]
DIFFERENTIABLE: dict[str, Callable[[TransportPlan], TransportPlan]] = {
    "implicit": implicit_plan,
    "unrolled": unrolled_plan,
}


@settings("objective", frozen=False, eq=False)
class Optical(nn.Module):
    """loss = mean over pairs of <P*, C>, where P* is the transport plan of C and C_ij = 1 - cos(s_i, t_j).

    P* minimises <P, C>, less eps times its entropy for the entropic solvers, over plans whose marginals are
    uniform over each side's tokens. `plan` says what is differentiated:

    - `detached`: <P*, C> with P* a constant; any solver. Our reading of the published loss.
    - `envelope`: the optimum <P*, C> - eps H(P*). Its gradient in C is P* too (Danskin), so the student learns
      the same; its value differs, and is below 0 for equal tokens.
    - `implicit`: <P*(C), C>, through the optimality conditions of the entropic plan.
    - `unrolled`: <P*(C), C>, through Sinkhorn's iterations.

    Args:
        solver: a solver of `optical_sweeps.transport`.
        centre: token vectors of one encoder lie in a cone (cosines .7 to .95), which flattens the plan. `both`
            subtracts the teacher's mean token vector of the batch from both sides before it computes the cost
            of the plan and of the loss; `none` takes the cost of the raw vectors.
        cost: cost of a pair of tokens: `cosine`, `squared_euclidean`, `euclidean`, or `learned` (see
            `SubspaceCost`).
        rank: dimensions of the learned subspace, at most `dim`; None takes half of `dim`.
        dim: dimensions of a token vector, for the learned subspace.
        plan: what is differentiated.
        english_weight: weight of the English term; see `distil`.
        name: the objective's name in tables and figures.

    Raises:
        UserError: a setting is unknown, or the solver does not give a plan with this derivative.
    """

    solver: Solver
    centre: Literal["none", "both"] = "both"
    cost: Literal["cosine", "squared_euclidean", "euclidean", "learned"] = "cosine"
    rank: Count | None = None
    dim: Count | None = None
    plan: Literal["detached", "envelope", "implicit", "unrolled"] = "detached"
    english_weight: NonNegativeFloat = 0.0
    name: str = "optical"
    trains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__init__()
        self._cost: Cost = self._subspace() if self.cost == "learned" else COSTS[self.cost]
        self._check_derivative()

    @property
    def expected_dim(self) -> int | None:
        """Dimensions that token vectors must have; None for any."""
        return self.dim if self.cost == "learned" else None

    def forward(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        cost = self._token_costs(student, teacher)
        plan_cost = cost.detach() if self.plan == "detached" else cost
        plan = self.solver(TransportProblem.uniform(plan_cost, student.mask, teacher.mask))
        if self.plan in DIFFERENTIABLE:
            plan = DIFFERENTIABLE[self.plan](plan)
        if self.plan == "envelope":
            loss = plan.regularised_cost.mean()
        else:
            loss = (plan.matrix.to(cost.dtype) * cost).sum((-2, -1)).mean()
        return ObjectiveOutput(loss, _diagnostics(plan, cost, self.solver))

    def align(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, mean: Float[Tensor, " d"] | None = None
    ) -> TransportPlan:
        """The plan as a constant, centred on `mean` if given, and otherwise on the batch's mean."""
        with no_grad():
            cost = self._token_costs(student, teacher, mean)
            return self.solver(TransportProblem.uniform(cost, student.mask, teacher.mask))

    def _token_costs(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, mean: Float[Tensor, " d"] | None = None
    ) -> Float[Tensor, "B n m"]:
        if self.centre == "none":
            return self._cost(student.vectors, teacher.vectors)
        mean = mean_vector(teacher.vectors[teacher.mask]) if mean is None else mean
        return self._cost(centred(student, mean).vectors, centred(teacher, mean).vectors)

    def _subspace(self) -> SubspaceCost:
        if self.dim is None:
            raise UserError(f"{key_of('dim')}: cost=learned needs it; set objective.dim=${{encoder.dim}}")
        rank = self.rank or max(1, self.dim // 2)
        if rank > self.dim:
            raise UserError(f"{key_of('rank')}: {rank} is more than objective.dim, {self.dim}; lower it")
        return SubspaceCost(self.dim, rank)

    def _check_derivative(self) -> None:
        """Refuse a solver whose plan does not have the derivative that `plan` names."""
        kind = type(self.solver).__name__.lower()
        if self.plan in DIFFERENTIABLE and not isinstance(self.solver, Sinkhorn):
            raise UserError(
                f"{key_of('plan')}: {self.plan} needs an entropic, balanced plan, and {kind} gives none; set "
                "transport@objective.solver=sinkhorn or objective.plan=detached"
            )
        if self.plan != "envelope":
            return
        exact_part = isinstance(self.solver, Partial) and isinstance(self.solver.solver, Exact)
        if not isinstance(self.solver, Sinkhorn | Exact) and not exact_part:
            raise UserError(
                f"{key_of('plan')}: envelope needs the optimum of a balanced problem, and {kind} gives "
                "another; set transport@objective.solver=sinkhorn or exact, or objective.plan=detached"
            )


def _diagnostics(plan: TransportPlan, cost: Float[Tensor, "B n m"], solver: Solver) -> dict[str, Tensor]:
    matrix, cost = plan.matrix.detach(), cost.detach()
    diagnostics = {
        "plan_cost": (matrix.to(cost.dtype) * cost).sum((-2, -1)).mean(),
        "plan_entropy": plan.entropy.detach().mean(),
        "plan_relative_entropy": plan.relative_entropy.detach().mean(),
        "plan_marginal_error": plan.marginal_error.mean(),
        "plan_iterations": plan.iterations.float().mean(),
        "plan_converged": plan.converged.float().mean(),
    }
    if isinstance(solver, Unbalanced | Partial):  # these may leave tokens unaligned
        diagnostics["plan_mass"] = matrix.sum((-2, -1)).mean()
    return diagnostics
