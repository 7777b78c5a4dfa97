"""Concepts: connected components with stable names, and splits that do not depend on other concepts."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.concepts import ConceptSplits, merge_concepts
from optical_sweeps.errors import UserError

features = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.lists(st.integers(0, 12), max_size=4))


@given(features)
def test_items_have_one_concept_exactly_if_a_chain_of_features_joins_them(features):
    concepts = merge_concepts(features)
    assert concepts.keys() == features.keys()
    # slow reference: flood fill
    for item in features:
        reached, grown = {item}, True
        while grown:
            seen = {feature for other in reached for feature in features[other]}
            more = reached | {other for other in features if seen.intersection(features[other])}
            grown, reached = more != reached, more
        assert {other for other in features if concepts[other] == concepts[item]} == reached
        assert concepts[item] == min(reached)


@given(features, st.randoms())
def test_the_order_of_items_does_not_matter(features, random):
    shuffled = list(features.items())
    random.shuffle(shuffled)
    assert merge_concepts(dict(shuffled)) == merge_concepts(features)


def test_splits_have_about_their_shares_and_change_with_the_seed():
    concepts, shares = [f"concept {i}" for i in range(4000)], ConceptSplits(dev_fraction=0.1, test_fraction=0.2)
    splits = [shares.split_of(concept, seed=0) for concept in concepts]
    counts = Counter(splits)
    assert abs(counts["dev"] / 4000 - 0.1) < 0.02
    assert abs(counts["test"] / 4000 - 0.2) < 0.02
    assert splits != [shares.split_of(concept, seed=1) for concept in concepts]


def test_a_larger_dev_share_does_not_change_test():
    concepts = [f"concept {i}" for i in range(1000)]
    small, large = (
        {c for c in concepts if ConceptSplits(dev_fraction=dev).split_of(c, seed=0) == "test"}
        for dev in (0.1, 0.3)
    )
    assert small == large


def test_fractions_must_leave_something_to_train_on():
    with pytest.raises(UserError, match=r"^data\.dev_fraction and data\.test_fraction: 0\.5 \+ 0\.5 leaves"):
        ConceptSplits(dev_fraction=0.5, test_fraction=0.5)
    with pytest.raises(UserError, match=r"^data\.test_fraction: 2 is not a number in \[0, 1\]"):
        ConceptSplits(dev_fraction=0.5, test_fraction=2)
