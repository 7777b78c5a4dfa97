"""Apportionment of a group's sequence to its languages, and the sequence of pairs of each language.

The divisor method of Webster and Sainte-Laguë never takes a place back as the budget grows. The method of
largest remainders does (the Alabama paradox).
"""

import math

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.seeds import derive_seed

BLOCK = 1 << 20
"""Random keys of pairs that are held in memory at a time."""


def language_sequence(language: str, size: int, count: int, seed: int) -> Int[np.ndarray, "count"]:
    """The first `count` pair numbers of one language: a fresh permutation for each repetition of its data."""
    epochs = [
        _permutation(
            size, min(size, count - repetition * size), derive_seed(f"mixture.{language}.{repetition}", seed)
        )
        for repetition in range(math.ceil(count / size))
    ]
    return np.concatenate([*epochs, np.zeros(0, dtype=np.int64)])


def apportion(
    weights: Float[np.ndarray, "L"], caps: Int[np.ndarray, "L"], budget: int
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """The first `budget` places of a group: the language of each place, and its rank within that language.

    The k-th item of language l has priority (k + 1/2) / q_l, independent of the budget, so prefixes are nested.
    Ties go to the first language.
    """
    most = _bounds(weights, caps, budget)[1]
    language_index = np.repeat(np.arange(len(weights)), most)
    ranks = np.concatenate([np.arange(count) for count in most])
    first = np.argsort((ranks + 0.5) / weights[language_index], kind="stable")[:budget]
    return language_index[first], ranks[first]


def apportioned_counts(
    weights: Float[np.ndarray, "L"], caps: Int[np.ndarray, "L"], budget: int
) -> Int[np.ndarray, "L"]:
    """The places of each language among the first `budget`, without listing them."""
    least, most = _bounds(weights, caps, budget)
    candidates = np.repeat(np.arange(len(weights)), most - least)
    ranks = np.concatenate([np.arange(first, last) for first, last in zip(least, most, strict=True)])
    last = np.argsort((ranks + 0.5) / weights[candidates], kind="stable")[: budget - int(least.sum())]
    counts: np.ndarray = least + np.bincount(candidates[last], minlength=len(weights))
    return counts


def _bounds(
    weights: Float[np.ndarray, "L"], caps: Int[np.ndarray, "L"], budget: int
) -> tuple[Int[np.ndarray, "L"], Int[np.ndarray, "L"]]:
    """Fewest and most places that each language can have among the first `budget`.

    Rounding moves a language from its water level by at most half a place for each language (light ones that
    are rounded down leave their halves to a heavy one), and by 1 for itself.
    """
    level = _water_level(weights, caps, budget)
    slack = len(weights) + 1
    most = np.minimum(caps, np.ceil(weights * level).astype(np.int64) + slack)
    least = np.minimum(caps, np.floor(weights * level).astype(np.int64)) - slack
    return np.maximum(least, 0), most


def _water_level(weights: Float[np.ndarray, "L"], caps: Int[np.ndarray, "L"], budget: int) -> float:
    """The level t at which sum over l of min(cap_l, q_l t) is `budget`."""
    remaining, remaining_weight = float(budget), float(weights.sum())
    for index in np.argsort(caps / weights, kind="stable"):
        if caps[index] / weights[index] * remaining_weight >= remaining:
            return remaining / remaining_weight
        remaining -= float(caps[index])
        remaining_weight -= float(weights[index])
    return float((caps / weights).max())


def _permutation(size: int, count: int, seed: int) -> Int[np.ndarray, "count"]:
    """The first `count` places of a random order of 0..size-1, the same in every version of numpy.

    The order sorts a random key of each number. Keys that cannot be among the `count` smallest are dropped as
    they are generated, so that the memory depends on `count` and not on `size`.

    numpy guarantees that the raw stream of a bit generator is stable; `Generator.permutation` is not (NEP 19).
    """
    bound = float(count)
    while True:
        bound += 8 * math.sqrt(bound) + 8  # eight standard deviations: one pass is almost always enough
        largest = np.uint64(bound / size * 2**64) if bound < size else np.uint64(2**64 - 1)
        generator = np.random.PCG64(seed)
        numbers, keys = [], []
        for start in range(0, size, BLOCK):
            block = generator.random_raw(min(BLOCK, size - start))
            kept = np.flatnonzero(block <= largest)
            numbers.append(kept + start)
            keys.append(block[kept])
        order = np.concatenate(keys).argsort(kind="stable")[:count]
        if len(order) == count:
            permutation: np.ndarray = np.concatenate(numbers)[order]
            return permutation
