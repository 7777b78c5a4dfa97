"""Mixtures: which bitext pairs a run trains on, drawn by a ratio protocol.

Each group of languages has one endless sequence of pairs, and a budget takes a prefix of it: a smaller
budget is a prefix of a larger one, and the same pairs recur across ratios (common random numbers). It has

- an apportionment of its places to languages that never takes a place back as the budget grows;
- for each language, a fresh permutation of its pairs for every repetition of its data;
- a cap: a language whose pairs are used up drops out and the others go on. With equal weights this is the
  water-filling of UniMax (Chung et al., 2023, arXiv 2304.09151).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol, runtime_checkable

import numpy as np

from optical_sweeps.checks import number_between, whole_number
from optical_sweeps.corpora.apportionment import apportion
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.corpora.sampling import (
    GROUPS,
    Group,
    Items,
    Sampling,
    check_cap_and_seed,
    check_supply,
    checked_groups,
    drawn_pairs_of,
)
from optical_sweeps.errors import UserError

__all__ = ["FixedHigh", "FixedTotal", "Mixture", "Natural", "PerLanguage"]


@runtime_checkable
class Mixture(Protocol):
    """A ratio protocol: draws pairs, given the sizes of the bitexts and the two groups of languages."""

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people: `ratio=0.25 total=3200`."""
        ...

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> DrawnPairs: ...

    def check(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> None:
        """Raise the errors that `draw` would raise, without drawing."""
        ...


class _ByGroup(Sampling):
    """A protocol with a budget for each group."""

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> DrawnPairs:
        """The mixture of bitexts of `bitext_sizes` pairs.

        Raises:
            UserError: the groups are not disjoint, name an unknown language or are empty; too few pairs.
        """
        groups = self._groups(bitext_sizes, high, low)
        return drawn_pairs_of(groups, [self.sequence(group) for group in groups])

    def check(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> None:
        """Refuse what `draw` would, without drawing."""
        self._groups(bitext_sizes, high, low)

    def budgets(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """Pairs of the high and of the low group, each with the setting they come from."""
        raise NotImplementedError

    def _groups(
        self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]
    ) -> tuple[Group, Group]:
        budgets = self.budgets()
        groups = checked_groups(bitext_sizes, high, low, [budget for budget, _ in budgets])
        for name, group, (_, key) in zip(GROUPS, groups, budgets, strict=True):
            if not group.languages and group.budget:
                raise UserError(
                    f"languages.{name}: the group is empty, but mixture.{key} asks for {group.budget} pairs of "
                    "it; name a language"
                )
            check_supply(f"languages.{name}", key, group, self.max_repeats)
        return groups


@dataclass(frozen=True)
class FixedTotal(_ByGroup):
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

    def budgets(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """Pairs of the high and of the low group, each with the setting they come from."""
        low = _share(self.ratio, self.total)
        return (self.total - low, "total"), (low, "total")


@dataclass(frozen=True)
class FixedHigh(_ByGroup):
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

    def budgets(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """Pairs of the high and of the low group, each with the setting they come from."""
        return (self.high_total, "high_total"), (_share(self.multiple, self.high_total), "multiple")


@dataclass(frozen=True)
class Natural(Sampling):
    """One budget over all languages by their data: the low-resource share is what the data have, not chosen.

    Which group a language is in changes nothing of what is drawn.

    Args:
        total: pairs of all languages together; null is every pair once.

    Raises:
        UserError: a bad setting; the message names its key.

    >>> Natural(total=20).draw({"de": 800, "fa": 150, "id": 50}, ["de"], ["fa", "id"]).counts
    {'de': 16, 'fa': 3, 'id': 1}
    """

    total: int | None

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people."""
        return f"natural total={'all' if self.total is None else self.total}"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.total is not None:
            whole_number("mixture.total", self.total, least=1)

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> DrawnPairs:
        """The mixture of bitexts of `bitext_sizes` pairs.

        Raises:
            UserError: the groups are not disjoint, name an unknown language or are both empty; too few pairs.
        """
        groups, both = self._groups(bitext_sizes, high, low)
        items = self.sequence(both)
        return drawn_pairs_of(groups, [items.of_part(both, group) for group in groups])

    def check(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> None:
        """Refuse what `draw` would, without drawing."""
        self._groups(bitext_sizes, high, low)

    def _groups(
        self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]
    ) -> tuple[tuple[Group, Group], Group]:
        """The two groups, and both as one, which has the budget."""
        groups = checked_groups(bitext_sizes, high, low, [0, 0])
        languages = tuple(sorted(groups[0].languages + groups[1].languages))
        if not languages:
            raise UserError("languages: both groups are empty; name a language")
        sizes = tuple(int(bitext_sizes[language]) for language in languages)
        both = Group(languages, sizes, sum(sizes) if self.total is None else self.total)
        check_supply("all languages", "total", both, self.max_repeats)
        return groups, both


@dataclass(frozen=True, kw_only=True)
class PerLanguage:
    """A budget of its own for every language.

    Args:
        budgets: language -> pairs; 0 leaves a language out.
        max_repeats: how often a pair may be used; null is no cap.
        seed: seed of the permutations of pairs.

    Raises:
        UserError: a bad setting; the message names its key.

    >>> PerLanguage(budgets={"de": 6, "fa": 2}).draw({"de": 100, "fa": 5}, ["de"], ["fa"]).counts
    {'de': 6, 'fa': 2}
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    budgets: Mapping[str, int] = field(hash=False)
    max_repeats: int | None = 1
    seed: int = 0

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people."""
        return "budgets " + " ".join(f"{language}={pairs}" for language, pairs in sorted(self.budgets.items()))

    def __post_init__(self) -> None:
        if not isinstance(self.budgets, Mapping) or not self.budgets:
            raise UserError("mixture.budgets: no mapping of language to pairs; write {de: 1000, fa: 100}")
        for language, pairs in self.budgets.items():
            whole_number(f"mixture.budgets.{language}", pairs, least=0)
        if not any(self.budgets.values()):
            raise UserError("mixture.budgets: all are 0; give a language some pairs")
        check_cap_and_seed(self.max_repeats, self.seed)

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> DrawnPairs:
        """The mixture of bitexts of `bitext_sizes` pairs.

        Raises:
            UserError: the groups are not disjoint; a language is unknown or has no budget; too few pairs.
        """
        groups = self._groups(bitext_sizes, high, low)
        return drawn_pairs_of(groups, [self._sequence(group) for group in groups])

    def check(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> None:
        """Refuse what `draw` would, without drawing."""
        self._groups(bitext_sizes, high, low)

    def _sequence(self, group: Group) -> Items:
        """The languages' own sequences, spread evenly among each other."""
        if not group.budget:
            return Items.none()
        pairs = np.array([self.budgets[language] for language in group.languages], dtype=np.int64)
        drawn = np.flatnonzero(pairs)
        language_index, ranks = apportion(pairs[drawn].astype(np.float64), pairs[drawn], group.budget)
        return Items.of(group, drawn[language_index], ranks, self.seed)

    def _groups(
        self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]
    ) -> tuple[Group, Group]:
        groups = checked_groups(bitext_sizes, high, low, [0, 0])
        for name, group in zip(GROUPS, groups, strict=True):
            for language, size in zip(group.languages, group.sizes, strict=True):
                if language not in self.budgets:
                    raise UserError(
                        f"mixture.budgets: none for {language!r} of languages.{name}; give it one, or 0"
                    )
                budget = self.budgets[language]
                if budget > size:  # spares the usual case the construction of a group
                    own = Group((language,), (size,), budget)
                    check_supply(f"languages.{name}", f"budgets.{language}", own, self.max_repeats)
        known = groups[0].languages + groups[1].languages
        for language in self.budgets:
            if language not in known:
                raise UserError(
                    f"mixture.budgets.{language}: in neither languages.high nor languages.low; name it there"
                )
        one, other = (
            Group(group.languages, group.sizes, sum(self.budgets[language] for language in group.languages))
            for group in groups
        )
        return one, other


def _share(ratio: float, total: int) -> int:
    """ratio * total, rounded half up, with the ratio read as the decimal that it is written as.

    >>> _share(0.145, 100), 0.145 * 100
    (15, 14.499999999999998)
    """
    return int((Decimal(str(ratio)) * total).to_integral_value(ROUND_HALF_UP))
