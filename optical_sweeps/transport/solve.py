"""The one-line interface to the solvers."""

from collections.abc import Callable

from optical_sweeps.transport.exact import Exact
from optical_sweeps.transport.ipot import Ipot
from optical_sweeps.transport.partial import Partial
from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.sinkhorn import Sinkhorn
from optical_sweeps.transport.unbalanced import Unbalanced

Solver = Callable[[TransportProblem], TransportPlan]

SOLVERS: dict[str, Callable[[], Solver]] = {
    "exact": Exact,
    "sinkhorn": Sinkhorn,
    "ipot": Ipot,
    "unbalanced": Unbalanced,
    "partial": Partial,
}


def solve(problem: TransportProblem, solver: Solver | str = "auto") -> TransportPlan:
    """The transport plan of each problem.

    Args:
        solver: a solver object, or the name of a solver with default settings. `auto` is `exact` on the CPU,
            where it is the fastest solver, and `sinkhorn` elsewhere.

    Raises:
        ValueError: no solver has that name.

    >>> import torch
    >>> solve(TransportProblem.uniform(torch.rand(2, 5, 7))).converged
    tensor([True, True])
    """
    if not isinstance(solver, str):
        return solver(problem)
    if solver == "auto":
        solver = "exact" if problem.cost.device.type == "cpu" else "sinkhorn"
    if solver not in SOLVERS:
        raise ValueError(f"no solver is named {solver!r}; known: auto, {', '.join(sorted(SOLVERS))}")
    return SOLVERS[solver]()(problem)
