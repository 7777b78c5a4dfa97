"""Where one objective overtakes another: the x at which their interpolated difference is 0.

The interval of a crossing is every x near it at which the interval of the difference contains 0 (an inverted
test, as Fieller 1954 does for a ratio). It has the coverage of the difference's interval, and unlike quantiles
of resampled crossings it shows when the data do not bound a crossing.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.contrasts import objective_difference
from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.errors import UserError

_GRID = 1001


@dataclass(frozen=True)
class Crossing:
    """One change of the lead.

    Args:
        upward: whether the first objective leads above this x.
        low, high: bounds; None where the interval extends beyond the values of x.
    """

    x: float
    upward: bool
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None and self.high is None:
            return f"{self.x:.3g} (anywhere)"
        low, high = ("…" if bound is None else f"{bound:.3g}" for bound in (self.low, self.high))
        return f"{self.x:.3g} ({low} to {high})"


@dataclass(frozen=True)
class Crossings:
    """All changes of the lead between two objectives on one slice.

    Args:
        open: intervals of x in which neither leads at this confidence, whether or not the estimates cross.
        leads: whether the first objective is higher on average; None if the two are equal.
    """

    first: str
    second: str
    slice: str
    x_name: str
    found: tuple[Crossing, ...]
    open: tuple[tuple[float, float], ...]
    leads: bool | None
    confidence: float

    @property
    def leader(self) -> str:
        """The objective that is higher on average; empty if the two are equal."""
        return "" if self.leads is None else self.first if self.leads else self.second

    def leader_after(self, crossing: Crossing) -> str:
        return self.first if crossing.upward else self.second


def find_crossings(study: Study, first: str, second: str, slice: str) -> Crossings:
    """Where the lead changes between two objectives along the study's x.

    Raises:
        UserError: the study lacks either curve, or they share fewer than two values of x.
    """
    difference = objective_difference(study, first, second, slice)
    return crossings_of(difference, first, second, study.x, study.confidence)


def crossings_of(difference: Scores, first: str, second: str, x_name: str, confidence: float) -> Crossings:
    """Like `find_crossings`, for a given difference; budgets (`total`) are interpolated on a logarithmic scale.

    Raises:
        UserError: fewer than two values of x.
    """
    if len(difference.x) < 2:
        raise UserError(f"{difference.label} on {difference.slice}: a crossing needs two values of {x_name}")
    to_scale, from_scale = (np.log, np.exp) if x_name == "total" else (np.asarray, np.asarray)
    x = np.asarray(to_scale(difference.x))
    squares = MeanSquares.of(difference.centred())
    grid = np.unique(np.concatenate([np.linspace(x[0], x[-1], _GRID), x]))
    bounds = [squares.interval(weights, confidence) for weights in _interpolation(x, grid)]
    spans = [(grid[a], grid[b]) for a, b in _runs_of_true(np.array([low <= 0 <= high for low, high in bounds]))]
    crossings = []
    for place, upward in _sign_changes(x, difference.mean):
        low, high = next(
            ((a, b) for a, b in spans if a <= place + 1e-12 and place <= b + 1e-12), (place, place)
        )
        crossings.append(
            Crossing(
                float(from_scale(place)),
                upward,
                None if low == grid[0] else float(from_scale(min(low, place))),
                None if high == grid[-1] else float(from_scale(max(high, place))),
            )
        )
    return Crossings(
        first,
        second,
        difference.slice,
        x_name,
        tuple(crossings),
        tuple((float(from_scale(low)), float(from_scale(high))) for low, high in spans),
        None if not difference.mean.any() else bool(difference.mean.sum() > 0),
        confidence,
    )


def _interpolation(x: Float[np.ndarray, " X"], grid: Float[np.ndarray, " G"]) -> Float[np.ndarray, "G X"]:
    """Weights of linear interpolation."""
    right = np.clip(np.searchsorted(x, grid), 1, len(x) - 1)
    part = (grid - x[right - 1]) / (x[right] - x[right - 1])
    weights = np.zeros((len(grid), len(x)))
    rows = np.arange(len(grid))
    weights[rows, right - 1], weights[rows, right] = 1 - part, part
    return weights


def _sign_changes(x: Float[np.ndarray, " X"], values: Float[np.ndarray, " X"]) -> list[tuple[float, bool]]:
    """Zeros between values of opposite sign, and whether the second value is positive.

    A zero between values of the same sign is not a crossing.
    """
    (nonzero,) = np.nonzero(values)
    changes = []
    for left, right in pairwise(nonzero.tolist()):
        if values[left] * values[right] < 0:
            if right == left + 1:
                zero = x[left] + (x[right] - x[left]) * values[left] / (values[left] - values[right])
            else:
                zero = (x[left + 1] + x[right - 1]) / 2
            changes.append((float(zero), bool(values[right] > 0)))
    return changes


def _runs_of_true(level: Bool[np.ndarray, " G"]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], level, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]
