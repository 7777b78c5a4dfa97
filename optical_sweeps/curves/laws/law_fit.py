"""Fit a law to points, robustly and from many starts, and tell whether the points determine it.

Residuals are logarithms of ratios, so that an error of 2% has the same weight at every level. Their spread is
estimated with the fit (Huber's second proposal). Residuals above 1.345 times the spread have a linear loss,
which is 95% as efficient as least squares on normal noise and keeps one bad run from moving the curve. Hoffmann
et al. 2022 (arXiv 2203.15556) fix the threshold at .001 instead, which amounts to least absolute values for
noise of any size seen here.

A fit is **determined** if

1. there are more points than parameters;
2. no parameter could equally well lie at a bound of the search: if it is held there and all others are free,
   the loss rises by more than a t test at 95% allows (a profile likelihood, evaluated only at the bounds);
3. the parameters do not compensate for each other: the derivatives, each scaled to length 1, have a condition
   number below 10^7.

A fit that is not determined interpolates and gives the reason, but does not extrapolate.

Shape legend: P parameters, K inputs, M problems solved at once, n points.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from optical_sweeps.curves.laws.batched_least_squares import jacobian, minimise
from optical_sweeps.curves.laws.equations import Inputs, Law
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

HUBER = 1.345
"""Threshold in standard deviations: efficiency 95% on normal noise (Huber 1981)."""

STARTS = 64
_LEAST_SQUARES = 1e30
_NO_NOISE = 1e-9
_CONDITION = 1e7
_PROFILE_STARTS = 12

Bounds = tuple[Float[np.ndarray, "M P"], Float[np.ndarray, "M P"]]


@dataclass(frozen=True, eq=False)
class Fit:
    """A law with its best parameters.

    Args:
        parameters: by name, in the units of the law.
        inputs: of the points, one row for each input of the law.
        values: of the points.
        spread: standard deviation of a point's relative error; NaN without spare points.
        doubts: why the data do not determine the law; empty if they do.
    """

    law: Law
    parameters: Mapping[str, float]
    inputs: Float[np.ndarray, "K n"]
    values: Float[np.ndarray, " n"]
    spread: float
    doubts: tuple[str, ...]

    @property
    def determined(self) -> bool:
        return not self.doubts

    def predict(self, inputs: Inputs) -> Float[np.ndarray, " n"]:
        """The value of the law at `inputs`.

        Raises:
            UserError: the fit is not determined, and an input lies outside the range of the points.
        """
        rows = self.law.input_array(inputs)
        for name, row, seen in zip(self.law.input_names, rows, self.inputs, strict=True):
            slack = 1e-9 * np.abs(seen).max()
            if self.doubts and (row.min() < seen.min() - slack or row.max() > seen.max() + slack):
                raise UserError(
                    f"law {self.law.name}: {name} is outside {seen.min():g} to {seen.max():g} and the data do "
                    f"not determine the law ({self.doubts[0]}); add points, or choose a simpler law"
                )
        return self.law.evaluate(self.parameters, inputs)


def fit_law(
    law: Law,
    inputs: Inputs,
    values: Sequence[float] | Float[np.ndarray, " n"],
    *,
    starts: int = STARTS,
    seed: int = 0,
) -> Fit:
    """Fit `law` to error-like `values` at `inputs`.

    >>> from optical_sweeps.curves.laws.equations import LAWS
    >>> pairs = [1000, 2000, 4000, 8000, 16000, 32000]
    >>> error = [(500 / d) ** 0.7 + 0.3 for d in pairs]
    >>> fit = fit_law(LAWS["power_offset"], {"D": pairs}, error)
    >>> {name: round(value, 3) for name, value in fit.parameters.items()}
    {'B': 500.0, 'beta': 0.7, 'delta': 0.3}
    >>> fit.determined
    True

    Args:
        values: positive: a loss, or 1 - nDCG.
        starts: number of searches, of which the best is kept.
        seed: of the starts.

    Raises:
        UserError: values that are not positive, or inputs outside the law's domain.
    """
    target = np.asarray(values, dtype=float)
    points = _Points(law, _input_rows(law, inputs, target))
    generator = np.random.default_rng(derive_seed("fit starts", seed))
    with np.errstate(all="ignore"):
        first = to_coordinates(law, law.starts(generator, starts, points.inputs, target).T)
        spare = len(target) - len(law.parameters)
        coordinates, _ = points.solve_from(first, target, 1.0, _LEAST_SQUARES)
        spread = _spread(points.residuals(target, coordinates[0]), spare)
        for _ in range(3):
            coordinates, losses = points.solve_from(coordinates[:8], target, spread, HUBER)
            spread = _spread(points.residuals(target, coordinates[0]), spare)
        coordinates, losses = points.solve_from(coordinates, target, spread, HUBER)
        doubts = points.doubts(target, coordinates[0], float(losses[0]), spread, first)
    best = to_natural(law, coordinates[:1])[0]
    parameters = dict(zip(law.parameter_names, best.tolist(), strict=True))
    return Fit(law, parameters, points.inputs, target, spread if spare > 0 else math.nan, doubts)


def refit(
    fit: Fit,
    replicates: Float[np.ndarray, "R n"],
    *,
    weights: Float[np.ndarray, "R n"] | None = None,
    starts: int = 3,
    seed: int = 0,
) -> Float[np.ndarray, "R P"]:
    """Parameters for other values at the same points, such as bootstrap replicates, all at once.

    The search starts from the fit and from `starts` random places. The spread of the residuals is the fit's.

    Args:
        weights: of the points; 0 leaves one out.

    Raises:
        UserError: values that are not positive.
    """
    law = fit.law
    if not (replicates > 0).all():
        raise UserError(
            f"law {law.name}: replicates reach 0 or less; the points are too uncertain to fit a law to"
        )
    generator = np.random.default_rng(derive_seed("refit starts", seed))
    spread = fit.spread if fit.spread > _NO_NOISE else _NO_NOISE
    threshold = HUBER if np.isfinite(fit.spread) else _LEAST_SQUARES
    with np.errstate(all="ignore"):
        first = to_coordinates(law, np.array([list(fit.parameters.values())]))
        others = to_coordinates(law, law.starts(generator, starts, fit.inputs, fit.values).T)
        start = np.concatenate([first, others])
        count, times = len(replicates), len(start)
        coordinates, losses = _Points(law, fit.inputs).solve(
            np.tile(start, (count, 1)),
            np.repeat(replicates, times, axis=0),
            spread,
            threshold,
            weights=None if weights is None else np.repeat(weights, times, axis=0),
        )
    best = losses.reshape(count, times).argmin(1) + times * np.arange(count)
    return to_natural(law, coordinates[best])


def to_coordinates(law: Law, parameters: Float[np.ndarray, "M P"]) -> Float[np.ndarray, "M P"]:
    """The coordinates of the search: logarithms of the logarithmic parameters."""
    logs = np.array([parameter.logarithmic for parameter in law.parameters])
    return np.where(logs, np.log(np.where(logs, parameters, 1.0)), parameters)


def to_natural(law: Law, coordinates: Float[np.ndarray, "M P"]) -> Float[np.ndarray, "M P"]:
    logs = np.array([parameter.logarithmic for parameter in law.parameters])
    return np.where(logs, np.exp(np.where(logs, coordinates, 0.0)), coordinates)


@dataclass(frozen=True, eq=False)
class _Points:
    """The inputs at which a law is fitted."""

    law: Law
    inputs: Float[np.ndarray, "K n"]

    def log_law(self, coordinates: np.ndarray) -> np.ndarray:
        """The logarithm of the law at each point; the model that the solver takes."""
        parameters = [
            (np.exp(column) if parameter.logarithmic else column)[:, None]
            for column, parameter in zip(coordinates.T, self.law.parameters, strict=True)
        ]
        values = np.log(self.law.formula(parameters, self.inputs))
        n = self.inputs.shape[1]
        return values if values.shape[1] == n else np.repeat(values, n, axis=1)

    def residuals(
        self, target: Float[np.ndarray, " n"], coordinates: Float[np.ndarray, " P"]
    ) -> Float[np.ndarray, " n"]:
        return np.asarray(np.log(target) - self.log_law(coordinates[None])[0])

    def bounds(self, largest: float) -> Bounds:
        """Bounds of the search, where the largest value of the data replaces an infinite one."""
        pairs = [(p.low, p.high if np.isfinite(p.high) else largest) for p in self.law.parameters]
        low, high = np.array(pairs).T
        return to_coordinates(self.law, low[None]), to_coordinates(self.law, high[None])

    def solve(
        self,
        start: Float[np.ndarray, "M P"],
        targets: Float[np.ndarray, "M n"],
        spread: float,
        threshold: float,
        *,
        weights: Float[np.ndarray, "M n"] | None = None,
        bounds: Bounds | None = None,
    ) -> tuple[Float[np.ndarray, "M P"], Float[np.ndarray, " M"]]:
        """One search for each start, with its own targets."""
        low, high = bounds or self.bounds(float(targets.max()))
        return minimise(
            self.log_law,
            start,
            np.log(targets),
            (np.ones_like(targets) if weights is None else weights) / spread,
            np.array(np.broadcast_to(low, start.shape)),
            np.array(np.broadcast_to(high, start.shape)),
            threshold,
        )

    def solve_from(
        self, start: Float[np.ndarray, "M P"], target: Float[np.ndarray, " n"], spread: float, threshold: float
    ) -> tuple[Float[np.ndarray, "M P"], Float[np.ndarray, " M"]]:
        """Several searches for the same target, the best first."""
        targets = np.repeat(target[None], len(start), axis=0)
        coordinates, losses = self.solve(start, targets, spread, threshold)
        order = np.argsort(losses, kind="stable")
        return coordinates[order], losses[order]

    def doubts(
        self,
        target: Float[np.ndarray, " n"],
        best: Float[np.ndarray, " P"],
        loss: float,
        spread: float,
        starts: Float[np.ndarray, "S P"],
    ) -> tuple[str, ...]:
        """Why the points do not determine the law."""
        count = len(self.law.parameters)
        if len(target) <= count:
            return (f"{len(target)} points for {count} parameters",)
        distinct = len(np.unique(self.inputs, axis=1).T) if len(self.inputs) else len(target)
        if distinct < count:
            return (f"{distinct} different points for {count} parameters",)
        doubts = []
        allowed = float(stdtrit(len(target) - count, 0.975)) ** 2 / 2
        start = np.concatenate([best[None], starts[:_PROFILE_STARTS]])
        targets = np.repeat(target[None], len(start), axis=0)
        low, high = self.bounds(float(target.max()))
        for column, parameter in enumerate(self.law.parameters):
            for side, words, limits, value in (
                ("low", "down to", low, parameter.low),
                ("high", "up to", high, parameter.high),
            ):
                if side in parameter.natural:
                    continue
                held = (np.repeat(low, len(start), axis=0), np.repeat(high, len(start), axis=0))
                held[0][:, column] = held[1][:, column] = limits[0, column]
                _, losses = self.solve(start, targets, spread, HUBER, bounds=held)
                if losses.min() - loss < allowed:
                    doubts.append(f"{parameter.name} {words} {value:g} fits as well")
        if self._condition(best, low[0], high[0]) > _CONDITION:
            doubts.append("its parameters compensate for each other")
        return tuple(doubts)

    def _condition(
        self, best: Float[np.ndarray, " P"], low: Float[np.ndarray, " P"], high: Float[np.ndarray, " P"]
    ) -> float:
        """Condition number of the scaled derivatives by the parameters that are not at a bound."""
        inside = (best > low + 1e-9) & (best < high - 1e-9)
        slopes = jacobian(self.log_law, best[None])[0][:, inside]
        lengths = np.linalg.norm(slopes, axis=0)
        if not slopes.shape[1]:
            return 1.0
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            return math.inf
        return float(np.linalg.cond(slopes / lengths))


def _input_rows(law: Law, inputs: Inputs, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, "K n"]:
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise UserError(
            f"law {law.name}: values must be positive, such as a loss or 1 - nDCG; leave the others out"
        )
    rows = law.input_array(inputs)
    if rows.shape[1] not in (1, len(values)):
        raise UserError(f"law {law.name}: {rows.shape[1]} inputs for {len(values)} values; give one for each")
    return np.array(np.broadcast_to(rows, (len(rows), len(values))))


def _spread(residuals: Float[np.ndarray, " n"], spare: int) -> float:
    """The standard deviation s at which the clipped squares have the sum expected of normal noise with s."""
    if spare <= 0:
        return 1.0
    tail = math.erfc(HUBER / math.sqrt(2)) / 2
    density = math.exp(-(HUBER**2) / 2) / math.sqrt(2 * math.pi)
    expected = 1 - 2 * tail - 2 * HUBER * density + 2 * HUBER**2 * tail
    spread = max(float(np.sqrt((residuals**2).sum() / spare)), _NO_NOISE)
    for _ in range(50):
        clipped = np.minimum(np.abs(residuals), HUBER * spread)
        spread = max(float(np.sqrt((clipped**2).sum() / (spare * expected))), _NO_NOISE)
    return spread
