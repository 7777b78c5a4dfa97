"""Choose between laws by their predictions of unseen points.

Each x is left out in turn, and the laws predict it. Errors are errors of the measure itself, so that laws with
different inputs compare. The largest budget is left out too, as a test of extrapolation; its error is reported
but does not choose.

The law with the smallest error is not chosen if a simpler one is as good: among the laws whose squared error
exceeds the best one's by at most one standard error of that difference, paired by point, the one with the
fewest parameters is taken (the one-standard-error rule of Breiman et al. 1984, paired).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.curves.laws.equations import LAWS, Inputs
from optical_sweeps.curves.laws.fitted_curve import law_inputs
from optical_sweeps.curves.laws.law_fit import Fit, fit_law, refit
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.statistics.study_scores import scores
from optical_sweeps.errors import UserError


@dataclass(frozen=True, eq=False)
class Contender:
    """A law and its held-out errors.

    Args:
        each: root mean squared error over the values of x, left out one at a time.
        largest: error at the largest budget, left out; None if no input is a budget.
        squares: squared error at each x, ascending.
    """

    fit: Fit
    each: float
    largest: float | None
    squares: Float[np.ndarray, " folds"]


@dataclass(frozen=True, eq=False)
class Choice:
    """The law chosen among contenders, which are sorted by error."""

    law: str
    contenders: tuple[Contender, ...]

    @property
    def fit(self) -> Fit:
        return next(contender.fit for contender in self.contenders if contender.fit.law.name == self.law)


def choose_law(study: Study, objective: str, slice: str, laws: Sequence[str], *, seed: int = 0) -> Choice:
    """The simplest of `laws` that predicts unseen points as well as the best; `constant` always competes.

    Args:
        laws: names in `equations.LAWS`, whose inputs follow from the study's x.

    Raises:
        UserError: an unknown law; an input that does not follow from x; fewer than three values of x.
    """
    if unknown := [name for name in laws if name not in LAWS]:
        raise UserError(f"law {unknown[0]!r} is not known; the laws are {', '.join(LAWS)}")
    block = scores(study, objective, slice)
    names = dict.fromkeys(["constant", *laws])
    problems = {name: law_inputs(study, slice, LAWS[name], block.x, {}) for name in names}
    return choose(problems, 1 - block.mean, seed=seed)


def choose(
    problems: Mapping[str, Inputs], values: Sequence[float] | Float[np.ndarray, " n"], *, seed: int = 0
) -> Choice:
    """Like `choose_law`, for given values; `problems` holds the inputs of each law by its name.

    >>> pairs = [500.0, 1000, 2000, 4000, 8000, 16000, 32000]
    >>> error = [(300 / d) ** 0.6 + 0.3 for d in pairs]
    >>> choose({"constant": {}, "power": {"D": pairs}, "power_offset": {"D": pairs}}, error).law
    'power_offset'
    """
    target = np.asarray(values, dtype=float)
    folds = _folds(problems, len(target))
    if folds.max() < 2:
        raise UserError(f"{folds.max() + 1} values of x: choosing a law by held-out error needs three")
    contenders = [_contender(name, problems[name], target, folds, seed) for name in problems]
    ranked = sorted(contenders, key=lambda contender: contender.each)
    as_good = [contender for contender in ranked if _is_as_good(contender, ranked[0])]
    # of equally simple laws, `min` takes the one with the smallest error
    chosen = min(as_good, key=lambda contender: len(contender.fit.law.parameters))
    return Choice(chosen.fit.law.name, tuple(ranked))


def _is_as_good(contender: Contender, best: Contender) -> bool:
    excess = contender.squares - best.squares
    return bool(excess.mean() <= excess.std(ddof=1) / np.sqrt(len(excess)))


def _contender(
    name: str, inputs: Inputs, target: Float[np.ndarray, " n"], folds: Int[np.ndarray, " n"], seed: int
) -> Contender:
    fit = fit_law(LAWS[name], inputs, target, seed=seed)
    seen = (folds[None] != np.arange(folds.max() + 1)[:, None]).astype(float)
    errors = _held_out(fit, seen, seed) ** 2
    squares = np.array([errors[fold, folds == fold].mean() for fold in range(len(seen))])
    largest = None
    if "D" in fit.law.input_names:
        pairs = fit.inputs[fit.law.input_names.index("D")]
        is_largest = pairs == pairs.max()
        if not is_largest.all():
            unseen = _held_out(fit, (~is_largest).astype(float)[None], seed)[0, is_largest]
            largest = float(np.sqrt((unseen**2).mean()))
    return Contender(fit, float(np.sqrt(squares.mean())), largest, squares)


def _held_out(fit: Fit, seen: Float[np.ndarray, "F n"], seed: int) -> Float[np.ndarray, "F n"]:
    """Errors at every point of the law fitted to the seen points of each fold."""
    targets = np.repeat(fit.values[None], len(seen), axis=0)
    # with many points, leaving some out moves the fit little, so that few starts suffice
    starts = min(24, max(3, 240 // len(seen)))
    parameters = refit(fit, targets, weights=seen, starts=starts, seed=seed)
    with np.errstate(all="ignore"):
        predicted = fit.law.formula(parameters.T[:, :, None], fit.inputs)
    return np.asarray(np.broadcast_to(predicted, targets.shape) - targets)


def _folds(problems: Mapping[str, Inputs], n: int) -> Int[np.ndarray, " n"]:
    """The fold of each point; points with equal inputs in all laws share one."""
    rows = [
        np.broadcast_to(np.asarray(values, dtype=float), n)
        for inputs in problems.values()
        for values in inputs.values()
    ]
    if not rows:
        return np.arange(n)
    return np.ravel(np.unique(np.stack(rows), axis=1, return_inverse=True)[1])
