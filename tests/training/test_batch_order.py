"""The order of the pairs in each epoch, as a function of epoch and seed."""

import numpy as np
import pytest

from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.batch_order import BucketedBatches, EpochBatches, epoch_order

LENGTHS = np.array([5, 1, 4, 2, 3, 6, 8, 7, 9, 10])


def test_the_first_epoch_keeps_the_draw_for_every_seed():
    for seed in range(3):
        assert epoch_order(6, 0, seed).tolist() == [0, 1, 2, 3, 4, 5]


def test_later_epochs_have_the_permutation_of_their_epoch_and_seed():
    for epoch in (1, 2):
        for seed in (0, 1):
            generator = np.random.default_rng(derive_seed(f"epoch {epoch}", seed))
            assert epoch_order(40, epoch, seed).tolist() == generator.permutation(40).tolist()


@pytest.mark.parametrize("kind", ["plain", "bucketed"])
def test_every_epoch_after_the_first_depends_on_the_seed_and_differs_from_the_others(kind):
    def epochs(seed: int) -> list[tuple[int, ...]]:
        if kind == "plain":
            batches = list(EpochBatches(40, 4, 4, seed))
        else:
            batches = list(BucketedBatches(np.tile(LENGTHS, 4), 4, 1000, 4, seed))
        return [tuple(item for batch in batches[e * 10 : e * 10 + 10] for item in batch) for e in range(4)]

    one, other = epochs(1), epochs(2)
    assert one == epochs(1)
    assert len(set(one)) == 4
    for epoch in (1, 2, 3):
        assert one[epoch] != other[epoch], f"epoch {epoch} ignores the seed"
    assert (one[0] == other[0]) == (kind == "plain")


def test_batches_are_cut_from_the_order():
    assert list(EpochBatches(5, 2, 1, 0)) == [[0, 1], [2, 3], [4]]
    assert list(EpochBatches(4, 2, 1, 0)) == [[0, 1], [2, 3]]
    assert next(iter(EpochBatches(2, 3, 2, 0))) == [0, 1]
    order = epoch_order(5, 1, 7).tolist()
    assert list(EpochBatches(5, 2, 2, 7))[3:] == [order[:2], order[2:4], order[4:]]


def test_buckets_are_cut_at_the_budget_of_padded_tokens():
    """Lengths 1 to 10 under 12 tokens: 3 pairs of up to 3 tokens have 9, but 4 of up to 4 would have 16."""
    batches = sorted(BucketedBatches(LENGTHS, 8, 12, 1, 0), key=lambda batch: LENGTHS[batch].max())
    assert [LENGTHS[batch].tolist() for batch in batches] == [[1, 2, 3], [4, 5], [6], [7], [8], [9], [10]]
    exact = sorted(BucketedBatches(LENGTHS, 8, 9, 1, 0), key=lambda batch: LENGTHS[batch].max())
    assert [LENGTHS[batch].tolist() for batch in exact[:3]] == [[1, 2, 3], [4], [5]]
    few = sorted(BucketedBatches(LENGTHS, 2, 10**6, 1, 0), key=lambda batch: LENGTHS[batch].max())
    assert [LENGTHS[batch].tolist() for batch in few] == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
