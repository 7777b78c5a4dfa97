"""The loss of a measure when queries are perturbed: its size, its error, and the language it hurts most."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

Differences = Mapping[str, float]
"""Query id -> value of the unperturbed query, minus the value of the perturbed one."""


def relative_loss(clean: float, perturbed: float) -> float:
    """The lost share of the measure; NaN where the measure was 0.

    >>> relative_loss(0.5, 0.4)
    0.2
    """
    return round((clean - perturbed) / clean, 12) if clean else math.nan


def loss_error(by_language: Sequence[Differences]) -> float:
    """Standard error, paired by query, of the mean over languages of mean losses over queries.

    An id in several languages is drawn once, as in parallel collections. NaN for fewer than two ids.

    >>> loss_error([{"a": 0.0, "b": 0.2}])
    0.1
    """
    drawn: dict[str, float] = {}
    for differences in by_language:
        mean, share = math.fsum(differences.values()) / len(differences), len(by_language) * len(differences)
        for query, value in differences.items():
            drawn[query] = drawn.get(query, 0.0) + (value - mean) / share
    count = len(drawn)
    squares = math.fsum(value**2 for value in drawn.values())
    return math.sqrt(squares * count / (count - 1)) if count > 1 else math.nan


def worst(losses: Mapping[str, float]) -> tuple[str, float]:
    """The language with the largest loss, and the loss; ties go to the first in alphabetical order.

    >>> worst({"fi": 0.1, "bn": 0.3, "ar": 0.3})
    ('ar', 0.3)
    """
    return min(losses.items(), key=lambda item: (-item[1], item[0]))


def spread(values: Sequence[float]) -> float:
    """Standard deviation with an unbiased variance; NaN for fewer than two values.

    >>> round(spread([0.1, 0.3]), 4)
    0.1414
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
