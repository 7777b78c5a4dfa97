"""Drawn training pairs: which they are, in which order they are trained on, and what to say of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int, UInt64

from optical_sweeps.seeds import derive_seed


@dataclass(frozen=True, eq=False)
class DrawnPairs:
    """Training pairs drawn by a mixture: item i is pair `pairs[i]` of language `languages[language_index[i]]`.

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

    def report(self, token_counts: Mapping[str, Int[np.ndarray, "_"]] | None = None) -> "MixtureReport":
        """What was drawn, by language.

        Args:
            token_counts: language -> tokens of each pair of its bitext, by pair number, where they are known.
        """
        return MixtureReport(
            pairs=self.counts,
            distinct={
                language: len(np.unique(self.pairs[self.language_index == index]))
                for index, language in enumerate(self.languages)
            },
            repeats=self.repeats,
            ratio=self.ratio,
            tokens=None
            if token_counts is None
            else {
                language: int(token_counts[language][self.pairs[self.language_index == index]].sum())
                for index, language in enumerate(self.languages)
            },
        )

    @property
    def _groups(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("high", self.high), ("low", self.low)


@dataclass(frozen=True)
class MixtureReport:
    """What a mixture drew, for the log, the record and W&B.

    Args:
        pairs: items of each language, repetitions counted.
        distinct: different pairs of each language.
        repeats: how often the most used pair of each language is used.
        ratio: the realised low-resource share of the items.
        tokens: of each language's items, where they were counted.
    """

    pairs: Mapping[str, int]
    distinct: Mapping[str, int]
    repeats: Mapping[str, int]
    ratio: float
    tokens: Mapping[str, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, as records take it."""
        columns = {name: dict(column) for name, column in self._columns().items()}
        return {**columns, "ratio": self.ratio}

    def metrics(self) -> dict[str, float]:
        """Flat, as trackers take them: `mixture/pairs/fa`."""
        flat = {
            f"mixture/{name}/{language}": float(count)
            for name, column in self._columns().items()
            for language, count in column.items()
        }
        return {**flat, "mixture/ratio": self.ratio}

    def _columns(self) -> dict[str, Mapping[str, int]]:
        columns = {"pairs": self.pairs, "distinct": self.distinct, "repeats": self.repeats}
        return columns if self.tokens is None else {**columns, "tokens": self.tokens}


def _mixed(x: UInt64[np.ndarray, "N"]) -> UInt64[np.ndarray, "N"]:
    """SplitMix64 (Steele, Lea and Flood, 2014): each input bit moves about half of the output's."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
