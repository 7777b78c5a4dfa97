"""Laws that error-like quantities follow: a loss, or 1 - nDCG.

A law is data: its equation, its inputs, its parameters with units and bounds, and where it comes from. What
it costs to be wrong is the same for all (`fits`), so that laws can be compared.

Shape legend: P parameters, K inputs, M problems solved at once, n points.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from optical_sweeps.errors import UserError

Values = Any
"""Arrays that broadcast; complex ones too, by which `fits` differentiates."""


@dataclass(frozen=True)
class Input:
    """What a law depends on.

    Args:
        low, high: where the law is defined.
        closed: whether `low` itself is.
    """

    name: str
    unit: str
    low: float = 0.0
    high: float = np.inf
    closed: bool = False


@dataclass(frozen=True)
class Parameter:
    """What a law is fitted by.

    Args:
        low, high: bounds of the search; an infinite `high` stands for the largest value of the data.
        logarithmic: whether it is searched on a logarithmic scale.
        own: which bounds (`low`, `high`) belong to the parameter, such as 0 for an offset. A fit may end
            there; one that could as well end at a bound of the search is not determined by the data.
    """

    name: str
    meaning: str
    unit: str
    low: float
    high: float
    logarithmic: bool = False
    own: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Law:
    """An equation between inputs and an error-like quantity.

    >>> LAWS["power_offset"].evaluate({"B": 100.0, "beta": 0.5, "delta": 0.2}, {"D": [100.0, 400.0]}).tolist()
    [1.2, 0.7]

    Args:
        formula: (P parameters, K inputs) -> values, by operations that complex numbers have, too.
        starts: (generator, how many, K inputs, values) -> parameters to start a search from, `P starts`.
        source: who published it, or that it is ours.
    """

    name: str
    equation: str
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    formula: Callable[[Values, Values], Values]
    starts: Callable[[np.random.Generator, int, Values, Values], Values]
    source: str

    def __repr__(self) -> str:
        return f"{self.name}: {self.equation}"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def evaluate(self, parameters: Mapping[str, float], inputs: Mapping[str, Any]) -> Float[np.ndarray, " n"]:
        """The law's value at `inputs`.

        Raises:
            UserError: an input is missing, or a value is outside of the law's domain.
        """
        values = np.array([parameters[name] for name in self.parameter_names])[:, None]
        return np.asarray(self.formula(values, self.input_array(inputs)), dtype=float)

    def input_array(self, inputs: Mapping[str, Any]) -> Float[np.ndarray, "K n"]:
        """Inputs by name as rows; numbers stand for every point.

        Raises:
            UserError: an input is missing or unknown, or a value is outside of the law's domain.
        """
        names = [known.name for known in self.inputs]
        if odd := sorted(set(names) ^ set(inputs)):
            raise UserError(
                f"law {self.name}: inputs are {', '.join(names) or 'none'}; see to {', '.join(odd)}"
            )
        rows = np.broadcast_arrays(*(np.asarray(inputs[name], dtype=float) for name in names))
        for known, row in zip(self.inputs, rows, strict=True):
            above = row >= known.low if known.closed else row > known.low
            bad = ~(above & (row <= known.high) & np.isfinite(row))
            if bad.any():
                domain = f"{'[' if known.closed else '('}{known.low:g}, {known.high:g}]"
                raise UserError(
                    f"law {self.name}: {known.name} = {np.atleast_1d(row)[np.atleast_1d(bad)][0]:g} is outside "
                    f"of "
                    f"{domain}; leave that point out or choose another law"
                )
        return np.stack([np.atleast_1d(row) for row in rows]) if rows else np.empty((0, 1))


_PAIRS = Input("D", "training pairs")
_SIZE = Input("N", "model parameters")
_SHARE = Input("p", "share of the training pairs, 0 to 1", 0.0, 1.0)
_SHARE_OR_NONE = Input("p", "share of the training pairs, 0 to 1", 0.0, 1.0, closed=True)

_OFFSET = Parameter("delta", "what no amount of data removes", "error", 0.0, np.inf, own=("low", "high"))


def _exponent(name: str, of: str) -> Parameter:
    return Parameter(name, f"exponent of {of}", "1", 0.01, 10.0, logarithmic=True)


def _scale(name: str, meaning: str, unit: str) -> Parameter:
    """A factor: as wide as numbers go, and determined where the exponents are."""
    return Parameter(name, meaning, unit, 1e-60, 1e60, logarithmic=True, own=("low", "high"))


def _between(generator: np.random.Generator, low: float, high: float, count: int) -> Values:
    """Log-uniform."""
    return np.exp(generator.uniform(np.log(low), np.log(high), count))


def _below(generator: np.random.Generator, values: Values, count: int) -> Values:
    """Offsets under all of the data."""
    return generator.uniform(0, 0.98, count) * values.min()


def _middle(values: Values) -> int:
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
    own = pairs * (share + worth * (1 - share))
    return np.stack([own * (values[middle] - delta) ** (1 / beta), beta, worth, delta])


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        law.name: law
        for law in (
            Law(
                "constant",
                "c",
                (),
                (_scale("c", "the error, whatever the inputs", "error"),),
                lambda p, x: p[0] + 0 * p[0],
                lambda generator, count, x, y: np.full((1, count), np.median(y)),
                "the null model: a law that does not beat it says nothing",
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
                    _scale("A", "size at which the reducible error is 1, with data without end", "parameters"),
                    _scale("B", "pairs at which the reducible error is 1, with a model without end", "pairs"),
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
                    Parameter("E", "what neither size nor data removes, at share 1", "error", 0.0, np.inf,
                              own=("low", "high")),
                    _scale("A", "part of the size", "error x parameters^alpha"),
                    _scale("B", "part of the data", "error x pairs^beta"),
                    _exponent("alpha", "the size"),
                    _exponent("beta", "all pairs"),
                    Parameter("gamma", "exponent of the share", "1", 0.0, 5.0, own=("low",)),
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
                    Parameter("E", "what no amount of data removes, at share 1", "error", 0.0, np.inf,
                              own=("low", "high")),
                    _scale("B", "part of the data", "error x pairs^beta"),
                    _exponent("beta", "all pairs"),
                    Parameter("gamma", "exponent of the share", "1", 0.0, 5.0, own=("low",)),
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
                    _scale("k", "what data can remove", "error"),
                    Parameter("T", "pairs that remove all but 1 / e of k", "pairs", 1e-3, 1e15, True),
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
                    _scale("k", "what the mixture can change, at share 0", "error"),
                    Parameter("t", "by how much a share helps (below 0) or harms", "1", -30.0, 30.0),
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
                    _scale("B", "own pairs at which the reducible error is 1", "pairs"),
                    _exponent("beta", "the pairs"),
                    Parameter("tau", "what another language's pair is worth in own pairs", "1", 1e-6, 1.0,
                              own=("low", "high")),
                    _OFFSET,
                ),
                lambda p, x: (p[0] / (x[0] * (x[1] + p[2] * (1 - x[1])))) ** p[1] + p[3],
                _share_starts,
                "ours: power_offset of the pairs in effect, own ones and those transferred "
                "(the notion of Hernandez et al. 2021, arXiv 2102.01293)",
            ),
        )
    }
)  # fmt: skip
"""Every law by name."""
