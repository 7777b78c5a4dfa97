"""Mixtures: which bitext pairs a run trains on, drawn by a ratio protocol.

Each group of languages has one endless sequence of pairs, and a budget takes a prefix of it: a smaller
budget is a prefix of a larger one, and the same pairs recur across ratios (common random numbers). It has

- an apportionment of its places to languages by the divisor method of Webster and Sainte-Laguë, which never
  takes a place back as the budget grows (largest remainders do: the Alabama paradox);
- for each language, a fresh permutation of its pairs for every repetition of its data;
- a cap: a language whose pairs are used up drops out and the others go on. With equal weights this is the
  water-filling of UniMax (Chung et al., 2023, arXiv 2304.09151).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int, UInt64

from optical_sweeps.checks import number_between, one_of, strings, whole_number
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

WEIGHTINGS = ("temperature", "unimax")


@dataclass(frozen=True, eq=False)
class Mixture:
    """Drawn training pairs: item i is pair `pairs[i]` of language `languages[language_index[i]]`.

    Items of the high group come first, each group in the order of its sequence.

    Args:
        high: languages of the high-resource group.
        low: languages of the low-resource group.
        language_index: index into `languages`.
        pairs: pair number in the bitext of that language.
        repetitions: 0 for the first use of a pair, 1 for the second, ...
    """

    high: tuple[str, ...]
    low: tuple[str, ...]
    language_index: Int[np.ndarray, "N"]
    pairs: Int[np.ndarray, "N"]
    repetitions: Int[np.ndarray, "N"]

    def __post_init__(self) -> None:
        for array in (self.language_index, self.pairs, self.repetitions):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        """(language, pair number, repetition) of each item."""
        columns = (self.language_index.tolist(), self.pairs.tolist(), self.repetitions.tolist())
        for index, pair, repetition in zip(*columns, strict=True):
            yield self.languages[index], pair, repetition

    @property
    def languages(self) -> tuple[str, ...]:
        return (*self.high, *self.low)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Items per language."""
        counts = np.bincount(self.language_index, minlength=len(self.languages))
        return dict(zip(self.languages, counts.tolist(), strict=True))

    @cached_property
    def repeats(self) -> dict[str, int]:
        """How often the most used pair of each language is used (0: the language is not drawn)."""
        most = np.zeros(len(self.languages), dtype=np.int64)
        np.maximum.at(most, self.language_index, self.repetitions + 1)
        return dict(zip(self.languages, most.tolist(), strict=True))

    @property
    def group_counts(self) -> dict[str, int]:
        """Items per group."""
        return {name: sum(self.counts[language] for language in group) for name, group in self._groups}

    @property
    def group_repeats(self) -> dict[str, int]:
        """How often the most used pair of each group is used."""
        return {
            name: max((self.repeats[language] for language in group), default=0) for name, group in self._groups
        }

    @property
    def ratio(self) -> float:
        """The realised low-resource share."""
        return self.group_counts["low"] / len(self)

    def order(self, seed: int) -> Int[np.ndarray, "N"]:
        """Item numbers in training order.

        Sorted by a hash of (language, pair, repetition), so that items shared by two mixtures come in the
        same order in both.
        """
        keys = np.array([derive_seed(f"order.{name}", seed) for name in self.languages], dtype=np.uint64)
        item_hash = _mixed(keys[self.language_index] ^ _mixed(self.pairs.astype(np.uint64)))
        item_hash = _mixed(item_hash ^ self.repetitions.astype(np.uint64))
        return np.argsort(item_hash, kind="stable")

    @property
    def _groups(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("high", self.high), ("low", self.low)


class MixtureProtocol(Protocol):
    """A rule that turns the sizes of bitexts and the two groups of languages into a mixture."""

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> Mixture: ...


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a group's budget is spread over its languages; the options that both protocols share.

    Args:
        weighting: `temperature`, q_l ~ p_l^(1/tau) with p_l the share of language l in its group's pairs; or
            `unimax`, equal weights under the cap of `max_repeats` (arXiv 2304.09151).
        temperature: tau. 1 is proportional to the data, null or infinity is uniform; unused by unimax.
        max_repeats: how often a pair may be used (1: never again); null is no cap. A language at its cap
            drops out and the rest of its group takes over.
        seed: seed of the permutations of pairs.

    Raises:
        UserError: a bad setting; the message names its key.
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    weighting: str = "temperature"
    temperature: float | None = 1.0
    max_repeats: int | None = 1
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("mixture.weighting", self.weighting, WEIGHTINGS)
        if self.temperature is not None and self.temperature != math.inf:
            number_between("mixture.temperature", self.temperature, 0.0, math.inf)
            if self.temperature == 0:
                raise UserError("mixture.temperature: 0 is no temperature; set a number above 0, or null")
        if self.max_repeats is not None:
            whole_number("mixture.max_repeats", self.max_repeats, least=1)
        elif self.weighting == "unimax":
            raise UserError("mixture.max_repeats: unimax is defined by its cap; set a number, not null")
        whole_number("mixture.seed", self.seed, least=0)

    def weights(self, sizes: Int[np.ndarray, "L"]) -> Float[np.ndarray, "L"]:
        """Relative weights of a group's languages (the largest is 1)."""
        if self.weighting == "unimax" or self.temperature is None:
            return np.ones(len(sizes))
        # relative to the largest, or a low temperature underflows every weight to 0
        relative: np.ndarray = (sizes / sizes.max()) ** (1 / self.temperature)
        return relative.clip(1e-12)

    def caps(self, sizes: Int[np.ndarray, "L"]) -> Int[np.ndarray, "L"]:
        """The most items each language can give."""
        return sizes * (self.max_repeats if self.max_repeats is not None else 2**31)


@dataclass(frozen=True)
class FixedTotal(Sampling):
    """A fixed budget of pairs, of which a share `ratio` is low-resource: low = round half up(ratio * total).

    Args:
        total: pairs of both groups together.
        ratio: low-resource share, in [0, 1].

    Raises:
        UserError: a bad setting; the message names its key.

    >>> mixture = FixedTotal(total=8, ratio=0.25).draw({"de": 100, "fa": 5, "id": 5}, ["de"], ["fa", "id"])
    >>> mixture.counts
    {'de': 6, 'fa': 1, 'id': 1}
    """

    total: int
    ratio: float

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people."""
        return f"ratio={self.ratio:g} total={self.total}"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("mixture.total", self.total, least=1)
        object.__setattr__(self, "ratio", number_between("mixture.ratio", self.ratio, 0.0, 1.0))

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> Mixture:
        """The mixture of bitexts of `bitext_sizes` pairs.

        Raises:
            UserError: the groups are not disjoint, name an unknown language or are empty; too few pairs.
        """
        low_total = _share(self.ratio, self.total)
        budgets = {"high": self.total - low_total, "low": low_total}
        return _draw(self, bitext_sizes, {"high": high, "low": low}, budgets, dict.fromkeys(budgets, "total"))


@dataclass(frozen=True)
class FixedHigh(Sampling):
    """A fixed high-resource budget and a multiple of it on top: low = round half up(multiple * high_total).

    Args:
        high_total: high-resource pairs.
        multiple: low-resource pairs per high-resource pair, at least 0.

    Raises:
        UserError: a bad setting; the message names its key.
    """

    high_total: int
    multiple: float

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people."""
        return f"multiple={self.multiple:g} high_total={self.high_total}"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("mixture.high_total", self.high_total, least=1)
        multiple = number_between("mixture.multiple", self.multiple, 0.0, math.inf)
        object.__setattr__(self, "multiple", multiple)

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> Mixture:
        """The mixture of bitexts of `bitext_sizes` pairs.

        Raises:
            UserError: the groups are not disjoint, name an unknown language or are empty; too few pairs.
        """
        budgets = {"high": self.high_total, "low": _share(self.multiple, self.high_total)}
        keys = {"high": "high_total", "low": "multiple"}
        return _draw(self, bitext_sizes, {"high": high, "low": low}, budgets, keys)


@dataclass(frozen=True)
class _Group:
    """One group of languages, its budget, and the config key that the budget comes from."""

    name: str
    languages: tuple[str, ...]
    sizes: Int[np.ndarray, "L"]
    budget: int
    budget_key: str


def _draw(
    sampling: Sampling,
    bitext_sizes: Mapping[str, int],
    languages: Mapping[str, Sequence[str]],
    budgets: Mapping[str, int],
    budget_keys: Mapping[str, str],
) -> Mixture:
    groups = [
        _checked_group(name, languages[name], bitext_sizes, budgets[name], budget_keys[name], sampling)
        for name in ("high", "low")
    ]
    high, low = groups
    for language in high.languages:
        if language in low.languages:
            raise UserError(
                f"languages.high and languages.low: {language!r} is in both; remove it from one of them"
            )
    sequences = [_prefix(group, sampling) for group in groups]
    offsets = [0, len(high.languages)]
    return Mixture(
        high.languages,
        low.languages,
        np.concatenate([index + offset for (index, _, _), offset in zip(sequences, offsets, strict=True)]),
        np.concatenate([pairs for _, pairs, _ in sequences]),
        np.concatenate([repetitions for _, _, repetitions in sequences]),
    )


def _checked_group(
    name: str,
    languages: Sequence[str],
    bitext_sizes: Mapping[str, int],
    budget: int,
    budget_key: str,
    sampling: Sampling,
) -> _Group:
    key = f"languages.{name}"
    # sorted: the order in which a group is written must not change what is drawn
    group = tuple(sorted(strings(key, languages)))
    for language in group:
        if language not in bitext_sizes:
            known = ", ".join(sorted(bitext_sizes))
            raise UserError(f"{key}: no bitext of language {language!r}; there is {known}")
    if not group and budget:
        raise UserError(
            f"{key}: the group is empty, but mixture.{budget_key} asks for {budget} pairs of it; "
            "name a language"
        )
    sizes = np.array([bitext_sizes[language] for language in group], dtype=np.int64)
    available = int(sampling.caps(sizes).sum())
    if budget > available:
        raise UserError(
            f"mixture.{budget_key}: {budget} pairs of {key} are asked for, but {', '.join(group)} have "
            f"{int(sizes.sum())} pairs and mixture.max_repeats is {sampling.max_repeats}, which gives "
            f"{available}; lower mixture.{budget_key}, raise mixture.max_repeats, or add languages"
        )
    return _Group(name, group, sizes, budget, budget_key)


def _prefix(
    group: _Group, sampling: Sampling
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """The first items of a group's sequence: language index, pair number, repetition."""
    if group.budget == 0:
        none = np.zeros(0, dtype=np.int64)
        return none, none.copy(), none.copy()
    language_index, ranks = _apportion(sampling.weights(group.sizes), sampling.caps(group.sizes), group.budget)
    pairs = np.empty(group.budget, dtype=np.int64)
    for index, language in enumerate(group.languages):
        own = language_index == index  # in order of rank: a language's own sequence is never reordered
        pairs[own] = _language_sequence(
            language, int(group.sizes[index]), int(np.count_nonzero(own)), sampling.seed
        )
    return language_index, pairs, ranks // group.sizes[language_index]


def _language_sequence(language: str, size: int, count: int, seed: int) -> Int[np.ndarray, "count"]:
    """The first `count` pair numbers of one language: a fresh permutation for each repetition of its data."""
    epochs = [
        _permutation(size, derive_seed(f"mixture.{language}.{repetition}", seed))
        for repetition in range(math.ceil(count / size))
    ]
    return np.concatenate([*epochs, np.zeros(0, dtype=np.int64)])[:count]


def _apportion(
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


def _mixed(x: UInt64[np.ndarray, "N"]) -> UInt64[np.ndarray, "N"]:
    """SplitMix64 (Steele, Lea and Flood, 2014): each input bit moves about half of the output's."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def _share(ratio: float, total: int) -> int:
    """ratio * total, rounded half up, with the ratio read as the decimal that it is written as.

    >>> _share(0.145, 100), 0.145 * 100
    (15, 14.499999999999998)
    """
    return int((Decimal(str(ratio)) * total).to_integral_value(ROUND_HALF_UP))
