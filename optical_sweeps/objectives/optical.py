"""OPTICAL: distillation through a soft alignment of tokens.

Huang, Yu and Allan, "Improving Cross-lingual Information Retrieval on Low-Resource Languages via Optimal
Transport Distillation", WSDM 2023, arXiv 2301.12566.

Shape legend: B pairs, n student tokens, m teacher tokens, d dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from jaxtyping import Float, Int
from torch import Tensor, nn, no_grad
from torch.nn.functional import normalize

from optical_sweeps.checks import one_of, whole_number
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.objectives.costs import COSTS, Cost, SubspaceCost, cosine_cost
from optical_sweeps.objectives.devices import mean_vector
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.scores import at_least_float32
from optical_sweeps.transport import Exact, Partial, Sinkhorn, TransportPlan, TransportProblem, Unbalanced
from optical_sweeps.transport.sinkhorn import Gradient

__all__ = ["Optical", "cosine_cost"]

Solver = Callable[[TransportProblem], TransportPlan]


@dataclass(eq=False)
class Optical(nn.Module):
    """loss = mean over pairs of <P*, C>, P* the transport plan of C, for C_ij = 1 - cos(s_i, t_j).

    P* minimises <P, C> (less eps times its entropy, for the entropic solvers) over plans whose marginals are
    uniform over each side's tokens. Four things may be differentiated, and each has its name:

    - `detached`: <P*, C> with P* a constant; any solver. The published loss as we read it.
    - `envelope`: the optimum <P*, C> - eps H(P*) itself. Its gradient in C is P* too (Danskin), so the student
      learns the same; its value is another, and below 0 at equal tokens.
    - `implicit`: <P*(C), C>, through the optimality conditions of the entropic plan.
    - `unrolled`: the same through Sinkhorn's iterations.

    Args:
        solver: from `optical_sweeps.transport`.
        centre: vectors of one encoder crowd in a cone (cosines .7 to .95), which flattens the plan. `plan`
            subtracts the teacher's mean token vector from both sides for the cost that the plan is found on;
            `both` for the loss's cost too; `none` never. The mean is the batch's: no state, and a student
            equal to its teacher still has zero cost.
        cost: of a pair of tokens: `cosine`, `squared_euclidean`, `euclidean`, or `learned` (`SubspaceCost`).
        rank: with `learned`, dimensions of the subspace, up to `dim`.
        dim: with `learned`, dimensions of a token vector.
        plan: what is differentiated.

    Raises:
        UserError: a setting is unknown, or the solver's plan cannot be differentiated as asked.
    """

    solver: Solver
    centre: str = "plan"
    cost: str = "cosine"
    rank: int | None = None
    dim: int | None = None
    plan: str = "detached"
    name: ClassVar[str] = "optical"
    trains: ClassVar[bool] = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        super().__init__()
        one_of("objective.centre", self.centre, ("none", "plan", "both"))
        one_of("objective.cost", self.cost, (*COSTS, "learned"))
        one_of("objective.plan", self.plan, ("detached", "envelope", "implicit", "unrolled"))
        self._cost: Cost = self._subspace() if self.cost == "learned" else COSTS[self.cost]
        self._solve = _solver_for(self.plan, self.solver)
        if self.plan == "envelope" and self.centre == "plan":
            raise UserError(
                "objective.plan: envelope differentiates one optimum, so plan and loss need one cost; set "
                "objective.centre=both or none"
            )

    @property
    def expected_dim(self) -> int | None:
        """Dimensions that token vectors must have; None for any."""
        return self.dim if self.cost == "learned" else None

    def forward(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        raw = self._cost(student.vectors, teacher.vectors)
        centred = raw if self.centre == "none" else self._centred_cost(student, teacher)
        cost = centred if self.centre == "both" else raw
        through = centred.detach() if self.plan == "detached" else centred
        plan = self._solve(TransportProblem.uniform(through, student.mask, teacher.mask))
        if self.plan == "envelope":
            loss = plan.regularised_cost.mean()
        else:
            loss = (plan.matrix.to(cost.dtype) * cost).sum((-2, -1)).mean()
        return ObjectiveOutput(loss, _diagnostics(plan, cost, self.solver))

    def align(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, mean: Float[Tensor, " d"] | None = None
    ) -> TransportPlan:
        """The plan alone, a constant; centred on `mean`, where given, in place of the batch's."""
        with no_grad():
            if self.centre == "none":
                cost = self._cost(student.vectors, teacher.vectors)
            else:
                cost = self._centred_cost(student, teacher, mean)
            return self.solver(TransportProblem.uniform(cost, student.mask, teacher.mask))

    def _centred_cost(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, mean: Float[Tensor, " d"] | None = None
    ) -> Float[Tensor, "B n m"]:
        mean = mean_vector(teacher.vectors[teacher.mask]) if mean is None else mean
        return self._cost(_recentre(student, mean), _recentre(teacher, mean))

    def _subspace(self) -> SubspaceCost:
        if self.dim is None:
            raise UserError("objective.dim: cost=learned needs it; set objective.dim=${encoder.dim}")
        dim = whole_number("objective.dim", self.dim, least=1)
        rank = whole_number("objective.rank", self.rank, least=1) if self.rank is not None else max(1, dim // 2)
        if rank > dim:
            raise UserError(f"objective.rank: {rank} is more than objective.dim, {dim}; lower it")
        return SubspaceCost(dim, rank)


def _solver_for(plan: str, solver: Solver) -> Solver:
    """The solver as it has to be called for this derivative; refuses those that have none."""
    own = getattr(solver, "gradient", "detached")
    if own not in ("detached", plan):
        raise UserError(
            f"objective.solver.gradient: {own}, but objective.plan is {plan}, which decides what is "
            f"differentiated; set objective.plan={own} and leave the solver's gradient at detached"
        )
    kind = type(solver).__name__.lower()
    if plan in ("implicit", "unrolled"):
        if not isinstance(solver, Sinkhorn):
            raise UserError(
                f"objective.plan: {plan} needs an entropic, balanced plan, and {kind} gives none; set "
                "transport@objective.solver=sinkhorn or objective.plan=detached"
            )
        return replace(solver, gradient=cast(Gradient, plan))
    if plan == "envelope" and not isinstance(solver, Sinkhorn | Exact):
        exact_part = isinstance(solver, Partial) and isinstance(solver.solver, Exact)
        if not exact_part:
            raise UserError(
                f"objective.plan: envelope needs the optimum of a balanced problem, and {kind} gives another; "
                "set transport@objective.solver=sinkhorn or exact, or objective.plan=detached"
            )
    return solver


def _recentre(tokens: TokenEmbeddings, mean: Float[Tensor, " d"]) -> Float[Tensor, "B n d"]:
    return normalize(at_least_float32(tokens) - mean, dim=-1) * tokens.mask.unsqueeze(-1)


def _diagnostics(plan: TransportPlan, cost: Float[Tensor, "B n m"], solver: Solver) -> dict[str, Tensor]:
    matrix, cost = plan.matrix.detach(), cost.detach()
    named = {
        "plan_cost": (matrix.to(cost.dtype) * cost).sum((-2, -1)).mean(),
        "plan_entropy": plan.entropy.detach().mean(),
        "plan_marginal_error": plan.marginal_error.mean(),
        "plan_iterations": plan.iterations.float().mean(),
        "plan_converged": plan.converged.float().mean(),
    }
    if isinstance(solver, Unbalanced | Partial):  # tokens may stay unaligned: how much was aligned?
        named["plan_mass"] = matrix.sum((-2, -1)).mean()
    return named
