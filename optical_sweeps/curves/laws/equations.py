"""Laws of error-like quantities: a loss, or 1 - nDCG.

A law is data: its equation, its inputs, its parameters with units and bounds, and its source. All laws are
fitted with the same loss (`law_fit`), so that they can be compared.

Shape legend: P parameters, K inputs, M problems solved at once, n points.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from optical_sweeps.errors import UserError

Inputs = Mapping[str, object]
"""Input -> a number, or one number for each point."""
Values = np.ndarray
"""An array that broadcasts; it may be complex, because `law_fit` differentiates by complex steps."""


@dataclass(frozen=True)
class Input:
    """A variable that a law depends on.

    Args:
        low, high: the domain of the law.
        closed: whether the domain includes `low`.
    """

    name: str
    unit: str
    low: float = 0.0
    high: float = np.inf
    closed: bool = False


@dataclass(frozen=True)
class Parameter:
    """A parameter of a law.

    Args:
        low, high: bounds of the search; an infinite `high` means the largest value of the data.
        logarithmic: whether the search uses a logarithmic scale.
        natural: the bounds (`low`, `high`) at which a fit may end, such as 0 for an offset. At any other bound,
            the data do not determine the parameter.
    """

    name: str
    meaning: str
    unit: str
    low: float
    high: float
    logarithmic: bool = False
    natural: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Law:
    """An equation between inputs and an error-like quantity.

    >>> LAWS["power_offset"].evaluate({"B": 100.0, "beta": 0.5, "delta": 0.2}, {"D": [100.0, 400.0]}).tolist()
    [1.2, 0.7]

    Args:
        formula: (P parameters, K inputs) -> values; uses only operations that complex numbers have.
        starts: (generator, count, K inputs, values) -> parameters to start a search from, `P count`.
        source: the publication, or a note that the law is ours.
    """

    name: str
    equation: str
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    formula: Callable[[Sequence[Values] | Values, Values], Values]
    starts: Callable[[np.random.Generator, int, Values, Values], Values]
    source: str

    def __repr__(self) -> str:
        return f"{self.name}: {self.equation}"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(variable.name for variable in self.inputs)

    def evaluate(self, parameters: Mapping[str, float], inputs: Inputs) -> Float[np.ndarray, " n"]:
        """The value of the law at `inputs`.

        Raises:
            UserError: an input is missing, or a value is outside the law's domain.
        """
        values = np.array([parameters[name] for name in self.parameter_names])[:, None]
        return np.asarray(self.formula(values, self.input_array(inputs)), dtype=float)

    def input_array(self, inputs: Inputs) -> Float[np.ndarray, "K n"]:
        """Inputs as rows; a single number serves every point.

        Raises:
            UserError: an input is missing or unknown, or a value is outside the law's domain.
        """
        if differing := sorted(set(self.input_names) ^ set(inputs)):
            raise UserError(
                f"law {self.name}: its inputs are {', '.join(self.input_names) or 'none'}; missing or unknown: "
                f"{', '.join(differing)}"
            )
        rows = np.broadcast_arrays(*(np.asarray(inputs[name], dtype=float) for name in self.input_names))
        for variable, row in zip(self.inputs, rows, strict=True):
            above = row >= variable.low if variable.closed else row > variable.low
            outside = np.atleast_1d(~(above & (row <= variable.high) & np.isfinite(row)))
            if outside.any():
                domain = f"{'[' if variable.closed else '('}{variable.low:g}, {variable.high:g}]"
                raise UserError(
                    f"law {self.name}: {variable.name} = {np.atleast_1d(row)[outside][0]:g} is outside "
                    f"{domain}; leave that point out or choose another law"
                )
        return np.stack([np.atleast_1d(row) for row in rows]) if rows else np.empty((0, 1))


_PAIRS = Input("D", "training pairs")
_SIZE = Input("N", "model parameters")
_SHARE = Input("p", "share of the training pairs, 0 to 1", 0.0, 1.0)
_SHARE_OR_NONE = Input("p", "share of the training pairs, 0 to 1", 0.0, 1.0, closed=True)

_OFFSET = Parameter(
    "delta", "error that remains with unlimited data", "error", 0.0, np.inf, natural=("low", "high")
)


def _exponent(name: str, variable: str) -> Parameter:
    return Parameter(name, f"exponent of {variable}", "1", 0.01, 10.0, logarithmic=True)


def _scale(name: str, meaning: str, unit: str) -> Parameter:
    """A factor: almost without bounds, and determined where the exponents are."""
    return Parameter(name, meaning, unit, 1e-60, 1e60, logarithmic=True, natural=("low", "high"))


def _between(generator: np.random.Generator, low: float, high: float, count: int) -> Values:
    """Log-uniform draws."""
    return np.exp(generator.uniform(np.log(low), np.log(high), count))


def _below(generator: np.random.Generator, values: Values, count: int) -> Values:
    """Offsets below all values."""
    return np.asarray(generator.uniform(0, 0.98, count) * values.min())


def _middle(values: Values) -> int:
    """The index of the median value."""
    return int(np.argsort(values)[len(values) // 2])


def _power_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle = _middle(values)
    beta, delta = _between(generator, 0.05, 3.0, count), _below(generator, values, count)
    return np.stack([inputs[0, middle] * (values[middle] - delta) ** (1 / beta), beta, delta])


def _pure_power_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle, beta = _middle(values), _between(generator, 0.02, 3.0, count)
    return np.stack([inputs[0, middle] * values[middle] ** (1 / beta), beta])


def _joint_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle = _middle(values)
    alpha, beta = _between(generator, 0.05, 3.0, count), _between(generator, 0.05, 3.0, count)
    delta, part = _below(generator, values, count), generator.uniform(0.05, 0.95, count)
    reduced = (values[middle] - delta) ** (1 / beta)
    size, pairs = inputs[:, middle]
    return np.stack(
        [size * (part * reduced) ** (beta / alpha), pairs * (1 - part) * reduced, alpha, beta, delta]
    )


def _mixture_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle = _middle(values)
    alpha, beta = _between(generator, 0.05, 2.0, count), _between(generator, 0.05, 2.0, count)
    gamma = generator.uniform(0.02, 1, count)
    size, pairs, share = inputs[:, middle]
    level = values[middle] * share**gamma
    parts = generator.dirichlet(np.ones(3), count).T * level
    return np.stack([parts[0], parts[1] * size**alpha, parts[2] * pairs**beta, alpha, beta, gamma])


def _data_mixture_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle, beta = _middle(values), _between(generator, 0.05, 2.0, count)
    gamma, part = generator.uniform(0.02, 1, count), generator.uniform(0, 1, count)
    pairs, share = inputs[:, middle]
    level = values[middle] * share**gamma
    return np.stack([part * level, (1 - part) * level * pairs**beta, beta, gamma])


def _saturating_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle, (pairs,) = _middle(values), inputs
    delta = _below(generator, values, count)
    scale = _between(generator, pairs.min() / 3, pairs.max() * 3, count)
    return np.stack([(values[middle] - delta) * np.exp(np.minimum(pairs[middle] / scale, 50)), scale, delta])


def _mixing_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle, (share,) = _middle(values), inputs
    delta = _below(generator, values, count)
    rate = generator.choice([-1, 1], count) * _between(generator, 0.2, 12.0, count)
    return np.stack([(values[middle] - delta) * np.exp(-rate * share[middle]), rate, delta])


def _share_starts(generator: np.random.Generator, count: int, inputs: Values, values: Values) -> Values:
    middle = _middle(values)
    beta, delta = _between(generator, 0.05, 3.0, count), _below(generator, values, count)
    worth = _between(generator, 1e-3, 1.0, count)
    pairs, share = inputs[:, middle]
    effective = pairs * (share + worth * (1 - share))
    return np.stack([effective * (values[middle] - delta) ** (1 / beta), beta, worth, delta])


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        law.name: law
        for law in (
            Law(
                "constant",
                "c",
                (),
                (_scale("c", "the error, independent of the inputs", "error"),),
                lambda p, x: p[0] + 0 * p[0],
                lambda generator, count, x, y: np.full((1, count), np.median(y)),
                "the null model: a law that is no better explains nothing",
            ),
            Law(
                "power",
                "(B / D)^beta",
                (_PAIRS,),
                (_scale("B", "pairs at which the error is 1", "pairs"), _exponent("beta", "the pairs")),
                lambda p, x: (p[0] / x[0]) ** p[1],
                _pure_power_starts,
                "Kaplan et al. 2020, arXiv 2001.08361, equation 1.2",
            ),
            Law(
                "power_offset",
                "(B / D)^beta + delta",
                (_PAIRS,),
                (
                    _scale("B", "pairs at which the reducible error is 1", "pairs"),
                    _exponent("beta", "the pairs"),
                    _OFFSET,
                ),
                lambda p, x: (p[0] / x[0]) ** p[1] + p[2],
                _power_starts,
                "Fang et al. 2024, arXiv 2403.18684 (contrastive entropy against annotated pairs)",
            ),
            Law(
                "joint",
                "[(A / N)^(alpha / beta) + B / D]^beta + delta",
                (_SIZE, _PAIRS),
                (
                    _scale("A", "size at which the reducible error is 1, with unlimited data", "parameters"),
                    _scale("B", "pairs at which the reducible error is 1, with unlimited size", "pairs"),
                    _exponent("alpha", "the size"),
                    _exponent("beta", "the pairs"),
                    _OFFSET,
                ),
                lambda p, x: ((p[0] / x[0]) ** (p[2] / p[3]) + p[1] / x[1]) ** p[3] + p[4],
                _joint_starts,
                "Fang et al. 2024, arXiv 2403.18684; the form is Kaplan et al. 2020's, arXiv 2001.08361",
            ),
            Law(
                "mixture",
                "(E + A / N^alpha + B / D^beta) p^-gamma",
                (_SIZE, _PAIRS, _SHARE),
                (
                    Parameter("E", "error that remains with unlimited size and data, at share 1", "error",
                              0.0, np.inf, natural=("low", "high")),
                    _scale("A", "factor of the size term", "error x parameters^alpha"),
                    _scale("B", "factor of the data term", "error x pairs^beta"),
                    _exponent("alpha", "the size"),
                    _exponent("beta", "all pairs"),
                    Parameter("gamma", "exponent of the share", "1", 0.0, 5.0, natural=("low",)),
                ),
                lambda p, x: (p[0] + p[1] / x[0] ** p[3] + p[2] / x[1] ** p[4]) / x[2] ** p[5],
                _mixture_starts,
                "He et al. 2024, arXiv 2410.12883 (cross-entropy of a language family)",
            ),
            Law(
                "data_mixture",
                "(E + B / D^beta) p^-gamma",
                (_PAIRS, _SHARE),
                (
                    Parameter("E", "error that remains with unlimited data, at share 1", "error", 0.0, np.inf,
                              natural=("low", "high")),
                    _scale("B", "factor of the data term", "error x pairs^beta"),
                    _exponent("beta", "all pairs"),
                    Parameter("gamma", "exponent of the share", "1", 0.0, 5.0, natural=("low",)),
                ),
                lambda p, x: (p[0] + p[1] / x[0] ** p[2]) / x[1] ** p[3],
                _data_mixture_starts,
                "He et al. 2024, arXiv 2410.12883, at one model size",
            ),
            Law(
                "saturating",
                "delta + k exp(-D / T)",
                (_PAIRS,),
                (
                    _scale("k", "error that data can remove", "error"),
                    Parameter("T", "pairs after which 1 / e of k remains", "pairs", 1e-3, 1e15, True),
                    _OFFSET,
                ),
                lambda p, x: p[2] + p[0] * np.exp(-x[0] / p[1]),
                _saturating_starts,
                "exp3 of Viering and Loog 2023, arXiv 2103.10948",
            ),
            Law(
                "mixing",
                "delta + k exp(t p)",
                (_SHARE_OR_NONE,),
                (
                    _scale("k", "error that the mixture can change, at share 0", "error"),
                    Parameter("t", "effect of the share: it helps below 0, and harms above", "1", -30.0, 30.0),
                    _OFFSET,
                ),
                lambda p, x: p[2] + p[0] * np.exp(p[1] * x[0]),
                _mixing_starts,
                "Ye et al. 2024, arXiv 2403.16952, for two domains",
            ),
            Law(
                "share",
                "(B / (D (p + tau (1 - p))))^beta + delta",
                (_PAIRS, _SHARE_OR_NONE),
                (
                    _scale("B", "pairs of the slice at which the reducible error is 1", "pairs"),
                    _exponent("beta", "the pairs"),
                    Parameter("tau", "worth of a pair of another language, in pairs of the slice", "1",
                              1e-6, 1.0, natural=("low", "high")),
                    _OFFSET,
                ),
                lambda p, x: (p[0] / (x[0] * (x[1] + p[2] * (1 - x[1])))) ** p[1] + p[3],
                _share_starts,
                "ours: power_offset of the effective pairs, the slice's own and those transferred "
                "(the notion of Hernandez et al. 2021, arXiv 2102.01293)",
            ),
        )
    }
)  # fmt: skip
"""Every law by name."""
