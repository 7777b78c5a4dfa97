"""The pairs that a mixture draws, their training order, and a report of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

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
        """The number of uses of the most used pair of each language (0: the language is not drawn)."""
        most = np.zeros(len(self.languages), dtype=np.int64)
        np.maximum.at(most, self.language_index, self.repetitions + 1)
        return dict(zip(self.languages, most.tolist(), strict=True))

    @property
    def group_counts(self) -> dict[str, int]:
        """Items per group."""
        return {
            name: sum(self.counts[language] for language in group)
            for name, group in (("high", self.high), ("low", self.low))
        }

    @property
    def ratio(self) -> float:
        """The realised low-resource share."""
        return self.group_counts["low"] / len(self)

    def order(self, seed: int) -> Int[np.ndarray, "N"]:
        """Item numbers in training order.

        Items are sorted by a hash of (language, pair, repetition), so that items of two mixtures have the same
        order in both.
        """
        keys = np.array([derive_seed(f"order.{name}", seed) for name in self.languages], dtype=np.uint64)
        item_hash = _mixed(keys[self.language_index] ^ _mixed(self.pairs.astype(np.uint64)))
        item_hash = _mixed(item_hash ^ self.repetitions.astype(np.uint64))
        return np.argsort(item_hash, kind="stable")

    def report(self, tokens: Int[np.ndarray, "N"] | None = None) -> "MixtureReport":
        """Counts of the drawn items by language.

        Args:
            tokens: tokens of each item, if they are known.
        """
        pairs = {
            language: self.pairs[self.language_index == index] for index, language in enumerate(self.languages)
        }
        columns = {
            "pairs": self.counts,
            "distinct": {language: len(np.unique(numbers)) for language, numbers in pairs.items()},
            "repeats": self.repeats,
        }
        if tokens is not None:
            columns["tokens"] = {
                language: int(tokens[self.language_index == index].sum())
                for index, language in enumerate(self.languages)
            }
        return MixtureReport(columns, self.ratio)


@dataclass(frozen=True)
class MixtureReport:
    """What a mixture drew, for the log, the record and W&B.

    Args:
        columns: counts by language: `pairs` (items, with repetitions), `distinct` (different pairs), `repeats`
            (uses of the most used pair), and `tokens` if they were counted.
        ratio: the realised low-resource share of the items.
    """

    columns: Mapping[str, Mapping[str, int]]
    ratio: float

    def as_dict(self) -> dict[str, object]:
        """The report as JSON, for records."""
        return {**{name: dict(column) for name, column in self.columns.items()}, "ratio": self.ratio}

    def metrics(self) -> dict[str, float]:
        """The report as flat metrics, for trackers: `mixture/pairs/fa`."""
        flat = {
            f"mixture/{name}/{language}": float(count)
            for name, column in self.columns.items()
            for language, count in column.items()
        }
        return {**flat, "mixture/ratio": self.ratio}


def _mixed(x: UInt64[np.ndarray, "N"]) -> UInt64[np.ndarray, "N"]:
    """SplitMix64 (Steele, Lea and Flood, 2014): each input bit changes about half of the output bits."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
