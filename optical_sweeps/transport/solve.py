"""Transport in one line."""

from collections.abc import Callable

from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.sinkhorn import Sinkhorn

Solver = Callable[[TransportProblem], TransportPlan]


def solve(problem: TransportProblem, solver: Solver | str = "auto") -> TransportPlan:
    """The plan of each problem of the batch; `solver` is a settings object, a name, or `auto`.

    Raises:
        ValueError: no solver has that name.
    """
    if not isinstance(solver, str):
        return solver(problem)
    solvers: dict[str, Callable[[], Solver]] = {"auto": Sinkhorn, "sinkhorn": Sinkhorn}
    if solver not in solvers:
        raise ValueError(f"no solver is named {solver!r}; known: {', '.join(sorted(solvers))}")
    return solvers[solver]()(problem)
