"""A law fitted to a study's curve, with intervals for its parameters and its predictions.

The law is refitted to replicates of the curve (`anova_intervals.replicates`); an interval lies between
quantiles of the refitted parameters or predictions. With one seed, the spread between runs is taken from the
residuals of the fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from optical_sweeps.curves.laws.equations import LAWS, Inputs, Law
from optical_sweeps.curves.laws.law_fit import Fit, fit_law, refit
from optical_sweeps.curves.statistics.anova_intervals import MeanSquares
from optical_sweeps.curves.statistics.anova_intervals import replicates as draw_replicates
from optical_sweeps.curves.statistics.score_block import Scores
from optical_sweeps.curves.statistics.study import Curve, Study
from optical_sweeps.curves.statistics.study_scores import scores
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

WIDEST = 4.0
"""The largest ratio between the bounds of an exponent's (or a rate's) interval that is still informative."""

_LEAST_ERROR = 1e-3
"""Replicates of 1 - nDCG are clipped here, because they must be positive."""


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """A law fitted to 1 - measure of one objective on one slice.

    Args:
        fit: to the means; its doubts include those of the replicates.
        parameters: of each replicate, in the order of the law's.
        n_seeds: with one, the spread between runs comes from the residuals.
    """

    label: str
    slice: str
    fit: Fit
    parameters: Float[np.ndarray, "R P"]
    n_seeds: int
    n_queries: int
    confidence: float

    @property
    def law(self) -> Law:
        return self.fit.law

    def interval(self, parameter: str) -> tuple[float, float]:
        """Bounds of a parameter."""
        column = self.law.parameter_names.index(parameter)
        low, high = self._quantiles(self.parameters[:, column])
        return float(low), float(high)

    def predict(self, inputs: Inputs, x: Sequence[float] | Float[np.ndarray, " X"]) -> Curve:
        """The measure itself at `inputs`, with its interval, as a curve over `x`.

        Raises:
            UserError: the fit is not determined, and an input lies outside the range of the points.
        """
        places = np.asarray(x, dtype=float)
        error = np.broadcast_to(self.fit.predict(inputs), places.shape)
        rows = self.law.input_array(inputs)
        with np.errstate(all="ignore"):
            drawn = self.law.formula(self.parameters.T[:, :, None], rows)
        drawn = np.broadcast_to(drawn, (len(self.parameters), len(places)))
        high, low = 1 - self._quantiles(drawn)
        n_seeds = np.full(len(places), self.n_seeds)
        mean = np.array(1 - error)
        return Curve(self.label, self.slice, places, mean, low, high, n_seeds, self.n_queries, self.confidence)

    def _quantiles(self, drawn: Float[np.ndarray, "R *rest"]) -> Float[np.ndarray, "2 *rest"]:
        """At ranks p (R + 1); NumPy's default ranks lose a point of coverage with 200 replicates."""
        tails = [(1 - self.confidence) / 2, (1 + self.confidence) / 2]
        return np.asarray(np.quantile(drawn, tails, axis=0, method="weibull"))


def fit_curve(
    study: Study,
    objective: str,
    slice: str,
    law: str,
    *,
    inputs: Inputs | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> FittedCurve:
    """Fit `law` to 1 - measure of an objective on a slice, with intervals over queries and seeds.

    >>> import pandas
    >>> pairs, noise = (500, 1000, 2000, 4000, 8000, 16000), (0.0, 0.001, -0.001)
    >>> rows = [
    ...     (f"{d}-{s}", "optical", d, s, "ar", q, 0.6 - (100 / d) ** 0.8 + noise[s] + q / 100)
    ...     for d in pairs for s in (0, 1, 2) for q in range(-9, 10)
    ... ]
    >>> columns = ["run", "objective", "total", "seed", "language", "query_id", "value"]
    >>> table = pandas.DataFrame(rows, columns=columns).assign(split="test", measure="nDCG@10")
    >>> fitted = fit_curve(Study(table, {}, x="total"), "optical", "ar", "power_offset", replicates=200)
    >>> round(fitted.fit.parameters["beta"], 3)
    0.8

    Args:
        law: a name in `equations.LAWS`.
        inputs: of the law, each one number or one for every x of the curve. By default, D is the budget and p
            is the slice's own share: the ratio for the group `low` and its languages, 1 - ratio for `high`.

    Raises:
        UserError: an unknown law; inputs that are neither given nor known; scores of 1, where the error is 0.
    """
    if law not in LAWS:
        raise UserError(f"law {law!r} is not known; the laws are {', '.join(LAWS)}")
    block = scores(study, objective, slice)
    known = law_inputs(study, slice, LAWS[law], block.x, inputs or {})
    return fit_scores(block, LAWS[law], known, study.confidence, replicates=replicates, seed=seed)


def fit_scores(
    block: Scores,
    law: Law,
    inputs: Inputs,
    confidence: float = 0.95,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> FittedCurve:
    """Like `fit_curve`, for given scores.

    Raises:
        UserError: inputs outside the law's domain; scores of 1, where the error is 0.
    """
    fit = fit_law(law, inputs, 1 - block.mean, seed=seed)
    drawn = 1 - draw_replicates(block, replicates, seed)
    if len(block.seeds) == 1 and fit.spread > 0:
        drawn = drawn * _run_noise(fit, block, replicates, seed)
    parameters = refit(fit, np.maximum(drawn, _LEAST_ERROR), seed=seed)
    n_seeds, n_queries = len(block.seeds), len(block.query_ids)
    fitted = FittedCurve(block.label, block.slice, fit, parameters, n_seeds, n_queries, confidence)
    return replace(fitted, fit=replace(fit, doubts=(*fit.doubts, *_replicate_doubts(fitted))))


def law_inputs(
    study: Study, slice: str, law: Law, x: Float[np.ndarray, " X"], given: Inputs
) -> dict[str, object]:
    """The inputs of a law: those given, and those that follow from the study's x.

    Raises:
        UserError: an input is neither given nor known.
    """
    inputs = dict(given)
    for name in law.input_names:
        if name in inputs:
            continue
        if name == "D" and study.x == "total":
            inputs[name] = x
        elif name == "p" and study.x == "ratio" and (low := _is_low(study, slice)) is not None:
            inputs[name] = x if low else 1 - x
        else:
            raise UserError(
                f"law {law.name}: {name} does not follow from {study.x} of {slice}; give it in inputs"
            )
    return inputs


def _is_low(study: Study, slice: str) -> bool | None:
    """Whether the ratio is the slice's own share; None if the slice is in neither group."""
    for name, low in (("low", True), ("high", False)):
        if slice == f"group:{name}" or slice in study.groups.get(name, ()):
            return low
    return None


def _run_noise(fit: Fit, block: Scores, count: int, seed: int) -> Float[np.ndarray, "R X"]:
    """Factors as far from 1 as the points are from the law, without the part that queries already explain."""
    generator = np.random.default_rng(derive_seed("run noise", seed))
    freedom = len(fit.values) - len(fit.law.parameters)
    queries = MeanSquares.of(block.centred()).queries / len(block.query_ids)
    between_x = (np.trace(queries) - queries.sum() / len(queries)) / max(len(queries) - 1, 1)
    variance = max(fit.spread**2 - between_x / fit.values.mean() ** 2, 0.0)
    scale = np.sqrt(variance * freedom / generator.chisquare(freedom, (count, 1)))
    return np.asarray(np.exp(generator.normal(size=(count, len(fit.values))) * scale))


def _replicate_doubts(fitted: FittedCurve) -> list[str]:
    """Doubts from the replicates: parameters at a bound of the search, and exponents of almost any size."""
    doubts = []
    for column, parameter in enumerate(fitted.law.parameters):
        drawn = fitted.parameters[:, column]
        reached = [
            bound
            for side, bound in (("low", parameter.low), ("high", parameter.high))
            if side not in parameter.natural
            and np.isclose(drawn, bound, rtol=1e-6).mean() > 1 - fitted.confidence
        ]
        low, high = fitted.interval(parameter.name)
        if reached:
            doubts.append(f"{parameter.name} reaches {reached[0]:g} in replicates")
        elif not parameter.natural and (low * high <= 0 or max(low / high, high / low) > WIDEST):
            doubts.append(f"{parameter.name} lies anywhere from {low:.3g} to {high:.3g}")
    return doubts
