"""Concepts: groups of items that must stay in one split, and the split of each concept."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Literal

from optical_sweeps.checks import Fraction
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import key_of, settings

SplitName = Literal["train", "dev", "test"]


@settings("data", kw_only=True)
class ConceptSplits:
    """Expected shares of the concepts; the remainder is for training.

    Args:
        dev_fraction: share of dev.
        test_fraction: share of test.
    """

    dev_fraction: Fraction = 0.1
    test_fraction: Fraction = 0.2

    def __post_init__(self) -> None:
        if self.dev_fraction + self.test_fraction >= 1:
            raise UserError(
                f"{key_of('dev_fraction')} and {key_of('test_fraction')}: {self.dev_fraction:g} + "
                f"{self.test_fraction:g} leaves nothing to train on; their sum must be below 1"
            )

    def split_of(self, concept: str, seed: int) -> SplitName:
        """The split of one concept, by its own hash: other concepts cannot change it."""
        position = derive_seed(f"split.{concept}", seed) / 2**63
        if position < self.test_fraction:
            return "test"
        if position < self.test_fraction + self.dev_fraction:
            return "dev"
        return "train"


def merge_concepts(features: Mapping[str, Iterable[Hashable]]) -> dict[str, str]:
    """Merge items that share a feature, directly or through others: item -> concept.

    A concept is named by its smallest item, so its name does not depend on other concepts.

    >>> merge_concepts({"c": ["cat"], "a": ["dog", "hound"], "b": ["hound"]})
    {'c': 'c', 'a': 'a', 'b': 'a'}
    """
    parent = {item: item for item in features}

    def root(item: str) -> str:
        while parent[item] != item:
            parent[item] = parent[parent[item]]  # halve the path: keeps long chains cheap
            item = parent[item]
        return item

    first_with: dict[Hashable, str] = {}
    for item, item_features in features.items():
        for feature in item_features:
            smaller, larger = sorted((root(item), root(first_with.setdefault(feature, item))))
            parent[larger] = smaller
    return {item: root(item) for item in features}
