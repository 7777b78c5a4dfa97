"""Where one objective overtakes another: the x at which their interpolated difference is 0.

The interval of a crossing is every x near it at which the difference's own interval holds 0 (a test inverted,
as Fieller 1954 does for a ratio). It covers as the difference's interval covers, and where the data do not
bound a crossing it says so, which quantiles of resampled crossings cannot.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import Scores, scores
from optical_sweeps.errors import UserError

_GRID = 1001


@dataclass(frozen=True)
class Crossing:
    """One change of the lead.

    Args:
        upward: from here on the first objective leads.
        low, high: bounds; None where the interval leaves the range of x that was run.
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
        open: intervals of x at which neither leads at this confidence, whether or not the estimates cross.
    """

    first: str
    second: str
    slice: str
    x_name: str
    found: tuple[Crossing, ...]
    open: tuple[tuple[float, float], ...]
    leads: bool | None
    confidence: float

    def __str__(self) -> str:
        """A line for people."""
        title = f"{self.first} and {self.second} on {self.slice}"
        if not self.found:
            if self.leads is None:
                return f"{title}: the same at every {self.x_name}"
            leader = self.first if self.leads else self.second
            doubt = f"; a crossing is not excluded in {_spans(self.open)}" if self.open else ""
            return f"{title}: no crossing, {leader} leads at every {self.x_name}{doubt}"
        steps = [
            f"{self.first if one.upward else self.second} leads from {self.x_name} {one}" for one in self.found
        ]
        count = f"{len(self.found)} crossings: " if len(self.found) > 1 else ""
        return f"{title}: {count}{', '.join(steps)}"


def find_crossings(study: Study, first: str, second: str, slice: str) -> Crossings:
    """Where `first` overtakes `second` along the study's x, and the other way round.

    >>> import pandas
    >>> rows = [
    ...     (f"{name} {r} {s}", name, r, s, "ar", q, (r if name == "optical" else 0.4) + q / 99 + s * r * q)
    ...     for name in ("optical", "contrastive") for r in (0.0, 0.5, 1.0) for s in (0, 1) for q in range(9)
    ... ]
    >>> columns = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=columns).assign(split="test", measure="nDCG@10")
    >>> found = find_crossings(Study(table, {}), "optical", "contrastive", "ar").found
    >>> [(round(one.x, 2), one.upward) for one in found]
    [(0.4, True)]

    Raises:
        UserError: the study lacks either curve, or they share fewer than two values of x.
    """
    difference = scores(study, first, slice).less(scores(study, second, slice))
    return crossings_of(difference, first, second, study.x, study.confidence, logarithmic=study.x == "total")


def crossings_of(
    difference: Scores,
    first: str,
    second: str,
    x_name: str,
    confidence: float,
    *,
    logarithmic: bool = False,
) -> Crossings:
    """The same for a difference that is at hand.

    Args:
        logarithmic: interpolate between logarithms of x, as budgets are drawn.

    Raises:
        UserError: fewer than two values of x.
    """
    if len(difference.x) < 2:
        raise UserError(f"{difference.label} on {difference.slice}: a crossing needs two values of {x_name}")
    x = np.log(difference.x) if logarithmic else difference.x
    squares = MeanSquares.of(difference.centred())
    places = np.unique(np.concatenate([np.linspace(x[0], x[-1], _GRID), x]))
    level = np.array([_holds_zero(squares, weights, confidence) for weights in _between(x, places)])
    back = np.exp if logarithmic else np.asarray
    spans = _spans_of(level)
    found = []
    for place, upward in _sign_changes(x, difference.mean):
        span = next(
            ((a, b) for a, b in spans if places[a] <= place + 1e-12 and place <= places[b] + 1e-12), None
        )
        low = None if span and span[0] == 0 else float(back(min(places[span[0]], place) if span else place))
        high = (
            None
            if span and span[1] == len(places) - 1
            else float(back(max(places[span[1]], place) if span else place))
        )
        found.append(Crossing(float(back(place)), upward, low, high))
    return Crossings(
        first,
        second,
        difference.slice,
        x_name,
        tuple(found),
        tuple((float(back(places[a])), float(back(places[b]))) for a, b in spans),
        None if not difference.mean.any() else bool(difference.mean.sum() > 0),
        confidence,
    )


def _holds_zero(squares: MeanSquares, contrast: Float[np.ndarray, " X"], confidence: float) -> bool:
    low, high = squares.interval(contrast, confidence)
    return low <= 0 <= high


def _between(x: Float[np.ndarray, " X"], places: Float[np.ndarray, " G"]) -> Float[np.ndarray, "G X"]:
    """Weights of linear interpolation."""
    right = np.clip(np.searchsorted(x, places), 1, len(x) - 1)
    part = (places - x[right - 1]) / (x[right] - x[right - 1])
    weights = np.zeros((len(places), len(x)))
    rows = np.arange(len(places))
    weights[rows, right - 1], weights[rows, right] = 1 - part, part
    return weights


def _sign_changes(x: Float[np.ndarray, " X"], values: Float[np.ndarray, " X"]) -> list[tuple[float, bool]]:
    """Zeros of the interpolation between values of opposite sign; a touch is none."""
    (places,) = np.nonzero(values)
    found = []
    for left, right in pairwise(places.tolist()):
        if values[left] * values[right] < 0:
            if right == left + 1:
                zero = x[left] + (x[right] - x[left]) * values[left] / (values[left] - values[right])
            else:
                zero = (x[left + 1] + x[right - 1]) / 2
            found.append((float(zero), bool(values[right] > 0)))
    return found


def _spans_of(level: Bool[np.ndarray, " G"]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], level, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _spans(spans: tuple[tuple[float, float], ...]) -> str:
    return ", ".join(f"{low:.3g} to {high:.3g}" for low, high in spans)
