"""How a budget of pairs is spread over the languages of a group: what the ratio protocols share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.checks import number_between, one_of, strings, whole_number
from optical_sweeps.corpora.apportionment import apportion, language_sequence
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.errors import UserError

WEIGHTINGS = ("temperature", "unimax")
GROUPS = ("high", "low")


class Group(NamedTuple):
    """One group of languages, sorted (the order in which it is written changes nothing), and its budget."""

    languages: tuple[str, ...]
    sizes: tuple[int, ...]
    budget: int


@dataclass(frozen=True, eq=False)
class Items:
    """The first items of a group's sequence: language (by place in its group), pair, repetition."""

    language_index: Int[np.ndarray, "N"]
    pairs: Int[np.ndarray, "N"]
    repetitions: Int[np.ndarray, "N"]

    @classmethod
    def none(cls) -> "Items":
        return cls(*(np.zeros(0, dtype=np.int64) for _ in range(3)))

    @classmethod
    def of(
        cls, group: Group, language_index: Int[np.ndarray, "N"], ranks: Int[np.ndarray, "N"], seed: int
    ) -> "Items":
        """Items whose languages and ranks are known; a language's own sequence is never reordered."""
        sizes = np.array(group.sizes, dtype=np.int64)
        pairs = np.empty(len(ranks), dtype=np.int64)
        for index, language in enumerate(group.languages):
            own = language_index == index
            pairs[own] = language_sequence(language, group.sizes[index], int(np.count_nonzero(own)), seed)
        return cls(language_index, pairs, ranks // sizes[language_index])

    def of_part(self, whole: Group, part: Group) -> "Items":
        """Those of the languages of `part`, in their order; the items are of `whole`."""
        places = np.array([part.languages.index(x) if x in part.languages else -1 for x in whole.languages])
        own = places[self.language_index]
        return Items(own[own >= 0], self.pairs[own >= 0], self.repetitions[own >= 0])


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a group's budget is spread over its languages; the options that most protocols share.

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
        if self.max_repeats is None and self.weighting == "unimax":
            raise UserError("mixture.max_repeats: unimax is defined by its cap; set a number, not null")
        check_cap_and_seed(self.max_repeats, self.seed)

    def weights(self, sizes: Int[np.ndarray, "L"]) -> Float[np.ndarray, "L"]:
        """Relative weights of a group's languages (the largest is 1)."""
        if self.weighting == "unimax" or self.temperature is None:
            return np.ones(len(sizes))
        # relative to the largest, or a low temperature underflows every weight to 0
        relative: np.ndarray = (sizes / sizes.max()) ** (1 / self.temperature)
        return relative.clip(1e-12)

    def sequence(self, group: Group) -> Items:
        """The first items of a group's sequence."""
        sizes = np.array(group.sizes, dtype=np.int64)
        if group.budget == 0:
            return Items.none()
        caps = sizes * _cap(self.max_repeats)
        language_index, ranks = apportion(self.weights(sizes), caps, group.budget)
        return Items.of(group, language_index, ranks, self.seed)


def drawn_pairs_of(groups: Sequence[Group], sequences: Sequence[Items]) -> DrawnPairs:
    high, low = groups
    one, other = sequences
    return DrawnPairs(
        high.languages,
        low.languages,
        np.concatenate([one.language_index, other.language_index + len(high.languages)]),
        np.concatenate([one.pairs, other.pairs]),
        np.concatenate([one.repetitions, other.repetitions]),
    )


# Plain integers: a grid of thousands of points is checked with this before it starts.
def checked_groups(
    bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str], budgets: Sequence[int]
) -> tuple[Group, Group]:
    one, other = (
        _checked_group(f"languages.{name}", languages, bitext_sizes, budget)
        for name, languages, budget in zip(GROUPS, (high, low), budgets, strict=True)
    )
    for language in one.languages:
        if language in other.languages:
            raise UserError(
                f"languages.high and languages.low: {language!r} is in both; remove it from one of them"
            )
    return one, other


def _checked_group(key: str, languages: Sequence[str], bitext_sizes: Mapping[str, int], budget: int) -> Group:
    group = tuple(sorted(strings(key, languages)))
    for language in group:
        if language not in bitext_sizes:
            known = ", ".join(sorted(bitext_sizes))
            raise UserError(f"{key}: no bitext of language {language!r}; there is {known}")
    return Group(group, tuple(int(bitext_sizes[language]) for language in group), budget)


def check_supply(groups: str, key: str, group: Group, max_repeats: int | None) -> None:
    available = sum(group.sizes) * _cap(max_repeats)
    if group.budget > available:
        raise UserError(
            f"mixture.{key}: {group.budget} pairs of {groups} are asked for, but {', '.join(group.languages)} "
            f"have {sum(group.sizes)} pairs and mixture.max_repeats is {max_repeats}, which gives "
            f"{available}; lower mixture.{key}, raise mixture.max_repeats, or add languages"
        )


def check_cap_and_seed(max_repeats: object, seed: object) -> None:
    if max_repeats is not None:
        whole_number("mixture.max_repeats", max_repeats, least=1)
    whole_number("mixture.seed", seed, least=0)


def _cap(max_repeats: int | None) -> int:
    return max_repeats if max_repeats is not None else 2**31
