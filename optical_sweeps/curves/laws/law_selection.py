"""Choose between laws by what they say of points they have not seen, never by eye.

Two ways of holding out: each x in turn, which asks for the shape, and the largest budget, which asks for
extrapolation. Errors are of the measure itself, so laws of any inputs compare.

The law with the smallest error is not the choice where a simpler one is as good: among laws whose squared
error exceeds the best one's by no more than one standard error of that difference, point by point, the one
with the fewest parameters is taken (the one-standard-error rule of Breiman et al. 1984, paired).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.curves.laws.equations import LAWS
from optical_sweeps.curves.laws.fitted_curve import law_inputs
from optical_sweeps.curves.laws.law_fit import Fit, fit_law, refit
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import scores
from optical_sweeps.errors import UserError


@dataclass(frozen=True, eq=False)
class Contender:
    """A law and how far off it was.

    Args:
        each: root mean squared error over x left out one at a time.
        largest: the same for the largest budget, left out; None where no input is a budget.
        squares: squared errors by x, in the order of its values.
    """

    fit: Fit
    each: float
    largest: float | None
    squares: Float[np.ndarray, " folds"]


@dataclass(frozen=True, eq=False)
class Choice:
    """The law chosen among contenders, which are in order of their error."""

    law: str
    contenders: tuple[Contender, ...]

    @property
    def fit(self) -> Fit:
        return next(one.fit for one in self.contenders if one.fit.law.name == self.law)


def choose_law(
    study: Study,
    objective: str,
    slice: str,
    laws: Sequence[str],
    *,
    inputs: Mapping[str, Any] | None = None,
    by: str = "each",
    seed: int = 0,
) -> Choice:
    """The simplest of `laws` that predicts unseen points as well as the best; `constant` always competes.

    Args:
        laws: names of `laws.LAWS`.
        inputs: of the laws, beyond what follows from the study's x (see `fit_curve`).
        by: `each` or `largest`; see the head of this file.

    Raises:
        UserError: an unknown law or way; inputs neither given nor known; too few values of x.
    """
    block = scores(study, objective, slice)
    given = inputs or {}
    problems = {
        name: law_inputs(study, slice, LAWS[name], block.x, _wanted(name, given)) for name in _known(laws)
    }
    return choose(problems, 1 - block.mean, by=by, seed=seed)


def choose(
    problems: Mapping[str, Mapping[str, Any]],
    values: Sequence[float] | Float[np.ndarray, " n"],
    *,
    by: str = "each",
    seed: int = 0,
) -> Choice:
    """The same for values at hand: `problems` are the inputs of each law by its name.

    >>> pairs = [500.0, 1000, 2000, 4000, 8000, 16000, 32000]
    >>> error = [(300 / d) ** 0.6 + 0.3 for d in pairs]
    >>> choose({"constant": {}, "power": {"D": pairs}, "power_offset": {"D": pairs}}, error).law
    'power_offset'
    """
    if by not in ("each", "largest"):
        raise UserError(f"by: {by!r} is not each or largest")
    target = np.asarray(values, dtype=float)
    folds = _folds(problems, len(target))
    if folds.max() < 2:
        raise UserError(f"{folds.max() + 1} values of x: choosing a law by held-out error needs three")
    contenders = [_contender(name, problems[name], target, folds, seed) for name in problems]
    if by == "largest":
        if any(one.largest is None for one in contenders if one.fit.law.inputs):
            raise UserError("by largest: no input D that varies; choose by each")
        ranked = sorted(contenders, key=lambda one: np.inf if one.largest is None else one.largest)
        return Choice(ranked[0].fit.law.name, tuple(ranked))
    ranked = sorted(contenders, key=lambda one: one.each)
    best = ranked[0]
    able = [one for one in ranked if _as_good(one, best)]
    # the order among equals is that of their errors
    chosen = min(able, key=lambda one: len(one.fit.law.parameters))
    return Choice(chosen.fit.law.name, tuple(ranked))


def _as_good(one: Contender, best: Contender) -> bool:
    excess = one.squares - best.squares
    return bool(excess.mean() <= excess.std(ddof=1) / np.sqrt(len(excess)))


def _contender(
    name: str,
    inputs: Mapping[str, Any],
    target: Float[np.ndarray, " n"],
    folds: Int[np.ndarray, " n"],
    seed: int,
) -> Contender:
    fit = fit_law(LAWS[name], inputs, target, seed=seed)
    seen = (folds[None] != np.arange(folds.max() + 1)[:, None]).astype(float)
    off = _held_out(fit, seen, seed) ** 2
    squares = np.array([off[fold, folds == fold].mean() for fold in range(len(seen))])
    largest = None
    names = [known.name for known in fit.law.inputs]
    if "D" in names and np.ptp(fit.inputs[names.index("D")]) > 0:
        pairs = fit.inputs[names.index("D")]
        smaller = (pairs < pairs.max()).astype(float)[None]
        largest = float(np.sqrt((_held_out(fit, smaller, seed)[0, pairs == pairs.max()] ** 2).mean()))
    return Contender(fit, float(np.sqrt(squares.mean())), largest, squares)


def _held_out(fit: Fit, seen: Float[np.ndarray, "F n"], seed: int) -> Float[np.ndarray, "F n"]:
    """Errors at every point of laws fitted to those that were seen."""
    targets = np.repeat(fit.values[None], len(seen), axis=0)
    # with many points no fold moves the fit far, which is where a search begins
    starts = min(24, max(3, 240 // len(seen)))
    parameters = refit(fit, targets, weights=seen, starts=starts, seed=seed)
    with np.errstate(all="ignore"):
        predicted = fit.law.formula(parameters.T[:, :, None], fit.inputs)
    return np.asarray(np.broadcast_to(predicted, targets.shape) - targets)


def _folds(problems: Mapping[str, Mapping[str, Any]], n: int) -> Int[np.ndarray, " n"]:
    """Points that agree in all inputs of all laws are one x."""
    rows = [
        np.broadcast_to(np.asarray(values, dtype=float), n)
        for inputs in problems.values()
        for values in inputs.values()
    ]
    if not rows:
        return np.arange(n)
    return np.ravel(np.unique(np.stack(rows), axis=1, return_inverse=True)[1])


def _known(laws: Sequence[str]) -> list[str]:
    if odd := [name for name in laws if name not in LAWS]:
        raise UserError(f"law {odd[0]!r} is not known; known are {', '.join(LAWS)}")
    return list(dict.fromkeys(["constant", *laws]))


def _wanted(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {known.name for known in LAWS[name].inputs}
    return {key: value for key, value in given.items() if key in wanted}
