"""What the ratio protocols share: checked groups of languages, and the seeded sequence of a group's pairs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.checks import Count, NonNegativeInt, strings
from optical_sweeps.corpora.apportionment import language_sequence
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings

GROUPS = ("high", "low")


class Group(NamedTuple):
    """A group of languages, sorted so that the order in a config does not matter, and its budget of pairs."""

    languages: tuple[str, ...]
    sizes: tuple[int, ...]
    budget: int = 0


class Items(NamedTuple):
    """The first items of a group's sequence: language (index into `languages`), pair, repetition."""

    languages: tuple[str, ...]
    language_index: Int[np.ndarray, "N"]
    pairs: Int[np.ndarray, "N"]
    repetitions: Int[np.ndarray, "N"]


@settings("mixture", kw_only=True)
class SeededDraw:
    """A seeded draw from groups of languages, with a cap on the repetitions of a pair.

    Args:
        max_repeats: largest number of uses of a pair; null is no cap.
        seed: seed of the permutations of pairs.
    """

    max_repeats: Count | None = 1
    seed: NonNegativeInt = 0

    def draw(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> DrawnPairs:
        """Draw from bitexts of `bitext_sizes` pairs.

        Raises:
            UserError: the groups overlap, name an unknown language or lack one; or there are too few pairs.
        """
        groups = self._groups(bitext_sizes, high, low)
        sequences = [self._items(group) for group in self._budgeted(*groups) if group.budget]
        return _drawn_pairs(groups[0].languages, groups[1].languages, sequences)

    def counts(
        self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]
    ) -> dict[str, int]:
        """The items of each language that `draw` would draw, without drawing them.

        Raises:
            UserError: as `draw`.
        """
        groups = self._groups(bitext_sizes, high, low)
        counts = dict.fromkeys([*groups[0].languages, *groups[1].languages], 0)
        for group in self._budgeted(*groups):
            if group.budget:
                counts |= dict(zip(group.languages, self._counts(group).tolist(), strict=True))
        return counts

    def check(self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]) -> None:
        """Raise the errors that `draw` would raise, without drawing."""
        self._budgeted(*self._groups(bitext_sizes, high, low))

    def _budgeted(self, high: Group, low: Group) -> Sequence[Group]:
        """The groups that are drawn from, with their budgets."""
        raise NotImplementedError

    def _apportioned(self, group: Group) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
        """The language of each item of a group's sequence, and the item's rank within its language."""
        raise NotImplementedError

    def _counts(self, group: Group) -> Int[np.ndarray, "L"]:
        """The items of each language in a group's sequence."""
        raise NotImplementedError

    # Plain integers: a grid of thousands of points is checked with this before it starts.
    def _groups(
        self, bitext_sizes: Mapping[str, int], high: Sequence[str], low: Sequence[str]
    ) -> tuple[Group, Group]:
        high_group, low_group = (
            _checked_group(f"languages.{name}", languages, bitext_sizes)
            for name, languages in zip(GROUPS, (high, low), strict=True)
        )
        for language in high_group.languages:
            if language in low_group.languages:
                raise UserError(
                    f"languages.high and languages.low: {language!r} is in both; remove it from one of them"
                )
        return high_group, low_group

    def _items(self, group: Group) -> Items:
        language_index, ranks = self._apportioned(group)
        sizes = np.array(group.sizes, dtype=np.int64)
        pairs = np.empty(len(ranks), dtype=np.int64)
        for index, language in enumerate(group.languages):
            of_language = language_index == index
            count = int(np.count_nonzero(of_language))
            pairs[of_language] = language_sequence(language, group.sizes[index], count, self.seed)
        return Items(group.languages, language_index, pairs, ranks // sizes[language_index])

    def _shares(self, group: Group) -> Float[np.ndarray, "L"]:
        """The part of the budget that each language of a group is meant to get; the parts add up to 1."""
        return np.full(len(group.languages), 1 / len(group.languages))

    def _check_supply(self, description: str, setting: str, group: Group) -> None:
        available = [size * self._cap for size in group.sizes]
        if group.budget <= sum(available):
            return
        needed = np.ceil(self._shares(group) * group.budget).astype(np.int64).tolist()
        covered = [supply / max(need, 1) for supply, need in zip(available, needed, strict=True)]
        short = min(range(len(covered)), key=lambda place: (covered[place], available[place]))
        language, repeats = group.languages[short], self.max_repeats
        times = "" if repeats == 1 else f" x mixture.max_repeats={repeats}"
        whole = "" if len(available) == 1 else f", and the whole group {sum(available):,}"
        raise UserError(
            f"mixture.{setting}: {group.budget:,} pairs of {description} are requested; the shortest language "
            f"is {language}, which needs {needed[short]:,} and has {group.sizes[short]:,}{times}{whole}; lower "
            f"mixture.{setting}, raise mixture.max_repeats, or add bitext of {language}"
        )

    @property
    def _cap(self) -> int:
        return self.max_repeats if self.max_repeats is not None else 2**31


def _checked_group(key: str, languages: Sequence[str], bitext_sizes: Mapping[str, int]) -> Group:
    group = tuple(sorted(strings(key, languages)))
    for language in group:
        if language not in bitext_sizes:
            known = ", ".join(sorted(bitext_sizes))
            raise UserError(f"{key}: no bitext of language {language!r}; there is {known}")
    return Group(group, tuple(int(bitext_sizes[language]) for language in group))


def _drawn_pairs(high: tuple[str, ...], low: tuple[str, ...], sequences: Sequence[Items]) -> DrawnPairs:
    """The items of the high group, then those of the low group, each in the order of its sequence."""
    numbers = {language: number for number, language in enumerate((*high, *low))}
    index = np.concatenate(
        [
            np.array([numbers[language] for language in items.languages], np.int64)[items.language_index]
            for items in sequences
        ]
    )
    order = np.argsort(index >= len(high), kind="stable")
    pairs = np.concatenate([items.pairs for items in sequences])
    repetitions = np.concatenate([items.repetitions for items in sequences])
    return DrawnPairs(high, low, index[order], pairs[order], repetitions[order])
