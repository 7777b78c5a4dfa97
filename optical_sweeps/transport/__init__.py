"""Optimal transport between the tokens of many small pairs of texts: (cost, a, b) -> plan."""

from optical_sweeps.transport.plan import TransportPlan
from optical_sweeps.transport.problem import TransportProblem
from optical_sweeps.transport.sinkhorn import Sinkhorn
from optical_sweeps.transport.solve import solve

__all__ = ["Sinkhorn", "TransportPlan", "TransportProblem", "solve"]
