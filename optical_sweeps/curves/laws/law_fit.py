"""Fit a law to points, robustly and from many starts, and say whether the points determine it.

Residuals are logarithms of ratios, so that an error of 2% weighs the same at every level. Their spread is
estimated with the fit (Huber's second proposal), and those beyond 1.345 of it weigh linearly: 95% as good as
least squares on normal noise, and one bad run does not move the curve. Hoffmann et al. 2022 (arXiv
2203.15556) fix the threshold at .001 instead, which is least absolute values on noise of any size seen here.

**Determined** means that (1) there are more points than parameters; (2) no parameter could as well lie at a
bound of the search: with it held there and all others free, the loss rises by more than a t test at 95%
allows (a profile likelihood, asked at the bounds alone); (3) parameters do not trade against each other: the
derivatives, each scaled to length 1, have a condition number under 10^7. A fit that is not determined
interpolates, says why, and does not extrapolate.

Shape legend: P parameters, K inputs, M problems solved at once, n points.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from optical_sweeps.curves.laws.batched_least_squares import Model, jacobian, minimise
from optical_sweeps.curves.laws.equations import Law
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

HUBER = 1.345
"""Threshold in standard deviations: efficiency 95% on normal noise (Huber 1981)."""

STARTS = 64
_LEAST_SQUARES = 1e30
_NO_NOISE = 1e-9
_CONDITION = 1e7
_PROFILE_STARTS = 12


@dataclass(frozen=True, eq=False)
class Fit:
    """A law with the parameters that fit best.

    Args:
        parameters: by name, in the units of the law.
        inputs: of the points, by rows in the order of the law's.
        values: of the points.
        spread: standard deviation of a point's relative error about the law; NaN where nothing is left over.
        doubts: why the data do not determine the law; empty where they do.
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

    def predict(self, inputs: Mapping[str, Any]) -> Float[np.ndarray, " n"]:
        """The law at `inputs`.

        Raises:
            UserError: the fit is not determined and an input lies outside of those seen.
        """
        self.check_reach(inputs)
        return self.law.evaluate(self.parameters, inputs)

    def check_reach(self, inputs: Mapping[str, Any]) -> None:
        """Refuse to extrapolate what is not determined.

        Raises:
            UserError: the fit is not determined and an input lies outside of those seen.
        """
        rows = self.law.input_array(inputs)
        for known, row, seen in zip(self.law.inputs, rows, self.inputs, strict=True):
            slack = 1e-9 * np.abs(seen).max()
            if self.doubts and (row.min() < seen.min() - slack or row.max() > seen.max() + slack):
                raise UserError(
                    f"law {self.law.name}: {known.name} is outside {seen.min():g} to {seen.max():g} and the "
                    f"data do not determine the law ({self.doubts[0]}); add points, or choose a simpler law"
                )


def fit_law(
    law: Law,
    inputs: Mapping[str, Any],
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
        starts: searches; all but the best are forgotten.
        seed: of the starts.

    Raises:
        UserError: values that are not positive; inputs outside of the law's domain.
    """
    target = np.asarray(values, dtype=float)
    rows = _rows(law, inputs, target)
    generator = np.random.default_rng(derive_seed("fit starts", seed))
    with np.errstate(all="ignore"):
        first = to_coordinates(law, law.starts(generator, starts, rows, target).T)
        spare = len(target) - len(law.parameters)
        coordinates, _ = _solve(law, rows, target[None], first, 1.0, _LEAST_SQUARES)
        spread = _spread(_residuals(law, rows, target, coordinates[0]), spare)
        for _ in range(3):
            coordinates, losses = _solve(law, rows, target[None], coordinates[:8], spread, HUBER)
            spread = _spread(_residuals(law, rows, target, coordinates[0]), spare)
        coordinates, losses = _solve(law, rows, target[None], coordinates, spread, HUBER)
        doubts = _doubts(law, rows, target, coordinates[0], float(losses[0]), spread, first)
    best = to_natural(law, coordinates[:1])[0]
    return Fit(
        law,
        dict(zip(law.parameter_names, best.tolist(), strict=True)),
        rows,
        target,
        spread if spare > 0 else math.nan,
        doubts,
    )


def refit(
    fit: Fit,
    replicates: Float[np.ndarray, "R n"],
    *,
    weights: Float[np.ndarray, "R n"] | None = None,
    starts: int = 3,
    seed: int = 0,
) -> Float[np.ndarray, "R P"]:
    """Parameters for other values at the same points, such as replicates of a bootstrap, all at once.

    The search starts from the fit and from `starts` random places; the spread of residuals stays the fit's.

    Args:
        weights: of points; 0 leaves one out.

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
    with np.errstate(all="ignore"):
        first = to_coordinates(law, np.array([list(fit.parameters.values())]))
        others = to_coordinates(law, law.starts(generator, starts, fit.inputs, fit.values).T)
        start = np.concatenate([first, others])
        count, times = len(replicates), len(start)
        threshold = HUBER if np.isfinite(fit.spread) else _LEAST_SQUARES
        coordinates, losses = _solve_each(
            law,
            fit.inputs,
            np.repeat(replicates, times, axis=0),
            np.tile(start, (count, 1)),
            spread,
            threshold,
            None if weights is None else np.repeat(weights, times, axis=0),
        )
    best = losses.reshape(count, times).argmin(1) + times * np.arange(count)
    return to_natural(law, coordinates[best])


def to_coordinates(law: Law, parameters: Float[np.ndarray, "M P"]) -> Float[np.ndarray, "M P"]:
    """Where the search takes place: logarithms of what is logarithmic."""
    logs = np.array([parameter.logarithmic for parameter in law.parameters])
    return np.where(logs, np.log(np.where(logs, parameters, 1.0)), parameters)


def to_natural(law: Law, coordinates: Float[np.ndarray, "M P"]) -> Float[np.ndarray, "M P"]:
    logs = np.array([parameter.logarithmic for parameter in law.parameters])
    return np.where(logs, np.exp(np.where(logs, coordinates, 0.0)), coordinates)


def _rows(law: Law, inputs: Mapping[str, Any], values: Float[np.ndarray, " n"]) -> Float[np.ndarray, "K n"]:
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise UserError(f"law {law.name}: values must be positive, as a loss or 1 - nDCG is; leave others out")
    rows = law.input_array(inputs)
    if rows.shape[1] not in (1, len(values)):
        raise UserError(f"law {law.name}: {rows.shape[1]} inputs for {len(values)} values; give one for each")
    return np.array(np.broadcast_to(rows, (len(rows), len(values))))


def _model(law: Law, rows: Float[np.ndarray, "K n"], n: int) -> Model:
    logs = [parameter.logarithmic for parameter in law.parameters]

    def logarithm(coordinates: np.ndarray) -> np.ndarray:
        parameters = [
            (np.exp(column) if log else column)[:, None]
            for column, log in zip(coordinates.T, logs, strict=True)
        ]
        values = np.log(law.formula(parameters, rows))
        return values if values.shape[1] == n else np.repeat(values, n, axis=1)

    return logarithm


def _bounds(law: Law, largest: float) -> tuple[Float[np.ndarray, "1 P"], Float[np.ndarray, "1 P"]]:
    pairs = [(p.low, p.high if np.isfinite(p.high) else largest) for p in law.parameters]
    low, high = np.array(pairs).T
    return to_coordinates(law, low[None]), to_coordinates(law, high[None])


def _solve(
    law: Law,
    rows: Float[np.ndarray, "K n"],
    target: Float[np.ndarray, "1 n"],
    start: Float[np.ndarray, "M P"],
    spread: float,
    threshold: float,
) -> tuple[Float[np.ndarray, "M P"], Float[np.ndarray, " M"]]:
    """Best first."""
    targets = np.repeat(target, len(start), axis=0)
    coordinates, losses = _solve_each(law, rows, targets, start, spread, threshold, None)
    order = np.argsort(losses, kind="stable")
    return coordinates[order], losses[order]


def _solve_each(
    law: Law,
    rows: Float[np.ndarray, "K n"],
    targets: Float[np.ndarray, "M n"],
    start: Float[np.ndarray, "M P"],
    spread: float,
    threshold: float,
    weights: Float[np.ndarray, "M n"] | None,
    held: tuple[Float[np.ndarray, "M P"], Float[np.ndarray, "M P"]] | None = None,
) -> tuple[Float[np.ndarray, "M P"], Float[np.ndarray, " M"]]:
    low, high = held if held is not None else _bounds(law, float(targets.max()))
    weights = np.ones_like(targets) if weights is None else weights
    shape = start.shape
    return minimise(
        _model(law, rows, targets.shape[1]),
        start,
        np.log(targets),
        weights / spread,
        np.array(np.broadcast_to(low, shape)),
        np.array(np.broadcast_to(high, shape)),
        threshold,
    )


def _residuals(
    law: Law,
    rows: Float[np.ndarray, "K n"],
    target: Float[np.ndarray, " n"],
    coordinates: Float[np.ndarray, " P"],
) -> Float[np.ndarray, " n"]:
    return np.asarray(np.log(target) - _model(law, rows, len(target))(coordinates[None])[0])


def _spread(residuals: Float[np.ndarray, " n"], spare: int) -> float:
    """The standard deviation s for which the clipped squares sum to what normal noise of s would give."""
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


def _doubts(
    law: Law,
    rows: Float[np.ndarray, "K n"],
    target: Float[np.ndarray, " n"],
    best: Float[np.ndarray, " P"],
    loss: float,
    spread: float,
    starts: Float[np.ndarray, "S P"],
) -> tuple[str, ...]:
    spare = len(target) - len(law.parameters)
    if spare < 1:
        return (f"{len(target)} points for {len(law.parameters)} parameters",)
    distinct = len(np.unique(rows, axis=1).T) if len(rows) else len(target)
    if distinct < len(law.parameters):
        return (f"{distinct} different points for {len(law.parameters)} parameters",)
    doubts = []
    allowed = float(stdtrit(spare, 0.975)) ** 2 / 2
    for column, side, place, bound in _search_bounds(law, target):
        low, high = _bounds(law, float(target.max()))
        held = [np.repeat(part, _PROFILE_STARTS + 1, axis=0) for part in (low, high)]
        held[0][:, column] = held[1][:, column] = place
        start = np.concatenate([best[None], starts[:_PROFILE_STARTS]])[: len(held[0])]
        held = [part[: len(start)] for part in held]
        targets = np.repeat(target[None], len(start), axis=0)
        _, losses = _solve_each(law, rows, targets, start, spread, HUBER, None, (held[0], held[1]))
        if losses.min() - loss < allowed:
            doubts.append(f"{law.parameters[column].name} {side} {bound:g} fits as well")
    if _condition(law, rows, target, best) > _CONDITION:
        doubts.append("its parameters trade against each other")
    return tuple(doubts)


def _search_bounds(law: Law, values: Float[np.ndarray, " n"]) -> list[tuple[int, str, float, float]]:
    """Column, words, coordinate and value of every bound that is not a parameter's own."""
    low, high = _bounds(law, float(values.max()))
    found = []
    for column, parameter in enumerate(law.parameters):
        if "low" not in parameter.own:
            found.append((column, "down to", float(low[0, column]), parameter.low))
        if "high" not in parameter.own:
            found.append((column, "up to", float(high[0, column]), parameter.high))
    return found


def _condition(
    law: Law,
    rows: Float[np.ndarray, "K n"],
    target: Float[np.ndarray, " n"],
    best: Float[np.ndarray, " P"],
) -> float:
    """Of the derivatives with respect to parameters that are not at a bound of their own."""
    low, high = _bounds(law, float(target.max()))
    inside = (best > low[0] + 1e-9) & (best < high[0] - 1e-9)
    slopes = jacobian(_model(law, rows, len(target)), best[None])[0][:, inside]
    lengths = np.linalg.norm(slopes, axis=0)
    if not slopes.shape[1]:
        return 1.0
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        return math.inf
    return float(np.linalg.cond(slopes / lengths))
