"""Concepts: connected components with stable names, and splits that other concepts cannot move."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.concepts import merge_concepts, split_of

features = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.lists(st.integers(0, 12), max_size=4))


@given(features)
def test_items_are_together_exactly_when_a_chain_of_shared_features_joins_them(features):
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
    concepts = [f"concept {i}" for i in range(4000)]
    splits = [split_of(concept, 0.1, 0.2, seed=0) for concept in concepts]
    shares = Counter(splits)
    assert abs(shares["dev"] / 4000 - 0.1) < 0.02
    assert abs(shares["test"] / 4000 - 0.2) < 0.02
    assert splits != [split_of(concept, 0.1, 0.2, seed=1) for concept in concepts]


def test_a_larger_dev_share_leaves_test_alone():
    concepts = [f"concept {i}" for i in range(1000)]
    small, large = ({c for c in concepts if split_of(c, dev, 0.2, 0) == "test"} for dev in (0.1, 0.3))
    assert small == large
