"""Mixtures: ratio protocols, which determine the bitext pairs that a run trains on.

Each group of languages has an infinite sequence of pairs, and a budget takes a prefix of it. So a smaller
budget is a prefix of a larger one, and the same pairs recur across ratios (common random numbers). The sequence
has

- an apportionment of its places to languages that never takes a place back as the budget grows;
- for each language, a fresh permutation of its pairs for every repetition of its data;
- a cap: a language whose pairs are used up drops out and the others continue. With equal weights this is the
  water-filling of UniMax (Chung et al., 2023, arXiv 2304.09151).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from annotated_types import Gt
from jaxtyping import Float, Int
from pydantic import AllowInfNan, BeforeValidator

from optical_sweeps.checks import Count, Fraction, NonNegativeFloat, whole_number
from optical_sweeps.corpora.apportionment import apportion, apportioned_counts
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.corpora.language_tags import same_tag
from optical_sweeps.corpora.languages import meant_language
from optical_sweeps.corpora.sampling import GROUPS, Group, SeededDraw
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings


@runtime_checkable
class Mixture(Protocol):
    """A ratio protocol: draws pairs, given the sizes of the bitexts and the two groups of languages."""

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people: `ratio=0.25 total=3200`."""
        ...

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> DrawnPairs: ...

    def counts(
        self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]
    ) -> dict[str, int]:
        """The items of each language that `draw` would draw, which is cheaper to know than the draw."""
        ...

    def check(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> None:
        """Raise the errors that `draw` would raise, without drawing."""
        ...


@settings("mixture", kw_only=True)
class _Weighted(SeededDraw):
    """How a group's budget is divided among its languages."""

    weighting: Literal["temperature", "unimax"] = "temperature"
    temperature: Annotated[float, Gt(0), AllowInfNan(True)] | None = 1.0

    def __post_init__(self) -> None:
        if self.max_repeats is None and self.weighting == "unimax":
            raise UserError(f"{key_of('max_repeats')}: null, but unimax is defined by its cap; set a number")

    def weights(self, sizes: Int[np.ndarray, "L"]) -> Float[np.ndarray, "L"]:
        """Relative weights of a group's languages (the largest is 1)."""
        if self.weighting == "unimax" or self.temperature is None:
            return np.ones(len(sizes))
        # relative to the largest size: otherwise a low temperature underflows every weight to 0
        relative: np.ndarray = (sizes / sizes.max()) ** (1 / self.temperature)
        return relative.clip(1e-12)

    def _shares(self, group: Group) -> Float[np.ndarray, "L"]:
        weights = self.weights(np.array(group.sizes, dtype=np.int64))
        shares: np.ndarray = weights / weights.sum()
        return shares

    def _counts(self, group: Group) -> Int[np.ndarray, "L"]:
        sizes = np.array(group.sizes, dtype=np.int64)
        return apportioned_counts(self.weights(sizes), sizes * self._cap, group.budget)

    def _apportioned(self, group: Group) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
        sizes = np.array(group.sizes, dtype=np.int64)
        return apportion(self.weights(sizes), sizes * self._cap, group.budget)


class _GroupBudgets(_Weighted):
    """A protocol with a budget for each group."""

    def _budgets(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """Pairs of the high and of the low group, each with the setting that determines them."""
        raise NotImplementedError

    def _budgeted(self, high: Group, low: Group) -> Sequence[Group]:
        groups = []
        for name, group, (budget, setting) in zip(GROUPS, (high, low), self._budgets(), strict=True):
            if not group.languages and budget:
                raise UserError(
                    f"languages.{name}: the group is empty, but mixture.{setting} requests {budget} pairs of "
                    "it; name a language"
                )
            groups.append(group._replace(budget=budget))
            self._check_supply(f"languages.{name}", setting, groups[-1])
        return groups


@settings("mixture")
class FixedTotal(_GroupBudgets):
    """A fixed budget of pairs with a low-resource share `ratio`: low = round half up(ratio * total).

    Args:
        total: pairs of both groups together.
        ratio: low-resource share, in [0, 1].
        weighting: `temperature`, q_l ~ p_l^(1/tau) with p_l the share of language l in its group's pairs; or
            `unimax`, equal weights under the cap of `max_repeats` (arXiv 2304.09151).
        temperature: tau. 1 is proportional to the data, null or infinity is uniform; unused by unimax.
        max_repeats: largest number of uses of a pair; null is no cap. A language at its cap drops out and the
            other languages of its group continue.
        seed: seed of the permutations of pairs.

    >>> mixture = FixedTotal(total=8, ratio=0.25).draw({"de": 100, "fa": 5, "id": 5}, ["de"], ["fa", "id"])
    >>> mixture.counts
    {'de': 6, 'fa': 1, 'id': 1}
    """

    total: Count
    ratio: Fraction

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people."""
        return f"ratio={self.ratio:g} total={self.total}"

    def _budgets(self) -> tuple[tuple[int, str], tuple[int, str]]:
        low = _share(self.ratio, self.total)
        return (self.total - low, "total"), (low, "total")


@settings("mixture")
class FixedHigh(_GroupBudgets):
    """A fixed high-resource budget and a multiple of it: low = round half up(multiple * high_total).

    Args:
        high_total: high-resource pairs.
        multiple: low-resource pairs per high-resource pair, at least 0.

    The other settings are those of `FixedTotal`.
    """

    high_total: Count
    multiple: NonNegativeFloat

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people."""
        return f"multiple={self.multiple:g} high_total={self.high_total}"

    def _budgets(self) -> tuple[tuple[int, str], tuple[int, str]]:
        return (self.high_total, "high_total"), (_share(self.multiple, self.high_total), "multiple")


@settings("mixture")
class Natural(_Weighted):
    """One budget over all languages: the data determine the low-resource share.

    The groups do not change what is drawn.

    Args:
        total: pairs of all languages together; null is every pair once.

    The other settings are those of `FixedTotal`.

    >>> Natural(total=20).draw({"de": 800, "fa": 150, "id": 50}, ["de"], ["fa", "id"]).counts
    {'de': 16, 'fa': 3, 'id': 1}
    """

    total: Count | None

    @property
    def label(self) -> str:
        """The point on the protocol's axis, for people."""
        return f"natural total={'all' if self.total is None else self.total}"

    def _budgeted(self, high: Group, low: Group) -> Sequence[Group]:
        sizes = dict(zip(high.languages + low.languages, high.sizes + low.sizes, strict=True))
        if not sizes:
            raise UserError("languages: both groups are empty; name a language")
        budget = sum(sizes.values()) if self.total is None else self.total
        languages = tuple(sorted(sizes))
        both = Group(languages, tuple(sizes[language] for language in languages), budget)
        self._check_supply("all languages", "total", both)
        return [both]


def _language_budgets(value: object) -> Mapping[str, int]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError("not a mapping of language to pairs; write {de: 1000, fa: 100}")
    for language, pairs in value.items():
        whole_number(f"{key_of('budgets')}.{language}", pairs, least=0)
    if not any(value.values()):
        raise ValueError("all are 0; give a language some pairs")
    return value


@settings("mixture", kw_only=True)
class PerLanguage(SeededDraw):
    """A separate budget for every language.

    Args:
        budgets: language -> pairs; 0 leaves a language out.
        max_repeats: largest number of uses of a pair; null is no cap.
        seed: seed of the permutations of pairs.

    >>> PerLanguage(budgets={"de": 6, "fa": 2}).draw({"de": 100, "fa": 5}, ["de"], ["fa"]).counts
    {'de': 6, 'fa': 2}
    """

    budgets: Annotated[Mapping[str, int], BeforeValidator(_language_budgets)] = field(hash=False)

    @property
    def label(self) -> str:
        """The budgets, for people."""
        return "budgets " + " ".join(f"{language}={pairs}" for language, pairs in sorted(self.budgets.items()))

    def _budgeted(self, high: Group, low: Group) -> Sequence[Group]:
        for name, group in zip(GROUPS, (high, low), strict=True):
            for language, size in zip(group.languages, group.sizes, strict=True):
                if language not in self.budgets:
                    raise UserError(
                        f"mixture.budgets: no budget for {language!r} of languages.{name}; set one, or 0"
                        f"{_respelled(language, self.budgets)}"
                    )
                single = Group((language,), (size,), self.budgets[language])
                self._check_supply(f"languages.{name}", f"budgets.{language}", single)
        for language in self.budgets:
            if language not in high.languages + low.languages:
                raise UserError(
                    f"mixture.budgets.{language}: in neither languages.high nor languages.low; name it there"
                    f"{meant_language(language, high.languages + low.languages)}"
                )
        return [
            group._replace(budget=sum(self.budgets[language] for language in group.languages))
            for group in (high, low)
        ]

    def _counts(self, group: Group) -> Int[np.ndarray, "L"]:
        return np.array([self.budgets[language] for language in group.languages], dtype=np.int64)

    def _apportioned(self, group: Group) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
        """The languages' sequences, spread evenly among each other."""
        pairs = np.array([self.budgets[language] for language in group.languages], dtype=np.int64)
        drawn = np.flatnonzero(pairs)
        language_index, ranks = apportion(pairs[drawn].astype(np.float64), pairs[drawn], group.budget)
        return drawn[language_index], ranks


def _share(ratio: float, total: int) -> int:
    """ratio * total, rounded half up, where the ratio is the decimal number as written.

    >>> _share(0.145, 100), 0.145 * 100
    (15, 14.499999999999998)
    """
    return int((Decimal(str(ratio)) * total).to_integral_value(ROUND_HALF_UP))


def _respelled(language: str, budgets: Collection[str]) -> str:
    """Advice to spell a key of the budgets as the language is spelled, or nothing."""
    spelling = next((key for key in budgets if same_tag(key, language)), None)
    return "" if spelling is None else f"; rename {spelling} to {language}"
