"""Optimal transport between the tokens of many small pairs of texts: (cost, a, b) -> plan.

>>> import torch
>>> cost = torch.rand(8, 20, 30, requires_grad=True)
>>> plan = solve(TransportProblem.uniform(cost))
>>> plan.cost.mean().backward()  # the gradient is the plan, a constant
"""

from optical_sweeps.transport.alignment import aligned_pairs, alignment_error_rate
from optical_sweeps.transport.exact import Exact
from optical_sweeps.transport.gradients import implicit_plan, unrolled_plan
from optical_sweeps.transport.ipot import Ipot
from optical_sweeps.transport.partial import Partial
from optical_sweeps.transport.plan import TransportPlan, marginal_error
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.rounding import round_to_polytope
from optical_sweeps.transport.sinkhorn import Sinkhorn
from optical_sweeps.transport.solve import SOLVERS, Solver, solve
from optical_sweeps.transport.spread import cost_spread
from optical_sweeps.transport.unbalanced import Unbalanced

__all__ = [
    "SOLVERS",
    "Exact",
    "Ipot",
    "Partial",
    "Sinkhorn",
    "Solver",
    "TransportPlan",
    "TransportProblem",
    "Unbalanced",
    "aligned_pairs",
    "alignment_error_rate",
    "cost_spread",
    "implicit_plan",
    "marginal_error",
    "round_to_polytope",
    "solve",
    "unrolled_plan",
]
