"""Concepts: groups of items that must stay in one split, and the split that a concept falls into."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Literal

from optical_sweeps.seeds import derive_seed

SplitName = Literal["train", "dev", "test"]


def merge_concepts(features: Mapping[str, Iterable[Hashable]]) -> dict[str, str]:
    """Merge items that share a feature, directly or through others: item -> concept.

    A concept is named by its smallest item, so that it keeps its name whatever other concepts come or go.

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
    for item, own in features.items():
        for feature in own:
            one, other = sorted((root(item), root(first_with.setdefault(feature, item))))
            parent[other] = one
    return {item: root(item) for item in features}


def split_of(concept: str, dev_fraction: float, test_fraction: float, seed: int) -> SplitName:
    """The split of one concept: by its own hash, so that other concepts cannot move it."""
    position = derive_seed(f"split.{concept}", seed) / 2**63
    if position < test_fraction:
        return "test"
    if position < test_fraction + dev_fraction:
        return "dev"
    return "train"
