"""Which places of a group's endless sequence go to which language, and which pairs a language gives.

An apportionment by the divisor method of Webster and Sainte-Laguë never takes a place back as the budget grows
(largest remainders do: the Alabama paradox).
"""

import math

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.seeds import derive_seed


def language_sequence(language: str, size: int, count: int, seed: int) -> Int[np.ndarray, "count"]:
    """The first `count` pair numbers of one language: a fresh permutation for each repetition of its data."""
    epochs = [
        _permutation(size, derive_seed(f"mixture.{language}.{repetition}", seed))
        for repetition in range(math.ceil(count / size))
    ]
    return np.concatenate([*epochs, np.zeros(0, dtype=np.int64)])[:count]


def apportion(
    weights: Float[np.ndarray, "L"], caps: Int[np.ndarray, "L"], budget: int
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """The first `budget` places of a group: whose each is, and the how-manieth of that language.

    The k-th item of language l has priority (k + 1/2) / q_l, whatever the budget, so prefixes nest. Ties go
    to the language that stands first.
    """
    # More candidates than places, but few: rounding moves a language from its water level by at most half a
    # place for each language (light ones rounded down hand their halves to a heavy one) and 1 of its own.
    level = _water_level(weights, caps, budget)
    most = np.minimum(caps, np.ceil(weights * level).astype(np.int64) + len(weights) + 1)
    language_index = np.repeat(np.arange(len(weights)), most)
    ranks = np.concatenate([np.arange(count) for count in most])
    first = np.argsort((ranks + 0.5) / weights[language_index], kind="stable")[:budget]
    return language_index[first], ranks[first]


def _water_level(weights: Float[np.ndarray, "L"], caps: Int[np.ndarray, "L"], budget: int) -> float:
    """The level t at which sum over l of min(cap_l, q_l t) is `budget`."""
    left, weight_left = float(budget), float(weights.sum())
    for index in np.argsort(caps / weights, kind="stable"):
        if caps[index] / weights[index] * weight_left >= left:
            return left / weight_left
        left -= float(caps[index])
        weight_left -= float(weights[index])
    return float((caps / weights).max())


def _permutation(size: int, seed: int) -> Int[np.ndarray, "size"]:
    """A random order of 0..size-1, the same under every numpy version.

    The raw stream of a bit generator is promised to be stable; `Generator.permutation` is not (NEP 19).
    """
    keys: np.ndarray = np.random.PCG64(seed).random_raw(size)
    return keys.argsort(kind="stable")
