"""Length-bucketed batches: their content, resuming at any step, and training with them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.encoders.tokenized_texts import TokenizedTexts
from optical_sweeps.interruption import Interruption
from optical_sweeps.objectives import MSE
from optical_sweeps.training import batch_order
from optical_sweeps.training.batch_order import BucketedBatches, EpochBatches
from optical_sweeps.training.distillation_pairs import DrawnTexts
from optical_sweeps.training.ranks import Ranks
from tests.support.training_study import SETTINGS, Killed, Study, make_encoder

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=300).map(np.array)
budgets = st.integers(40, 400)
sizes = st.integers(1, 16)
seeds = st.integers(0, 5)


@given(lengths, sizes, budgets, st.integers(1, 3), seeds)
def test_every_pair_is_in_one_batch_of_each_epoch(lengths, batch_size, budget, epochs, seed):
    sampler = BucketedBatches(lengths, batch_size, budget, epochs, seed)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    visited = [item for batch in batches for item in batch]
    for epoch in range(epochs):
        own = visited[epoch * len(lengths) : (epoch + 1) * len(lengths)]
        assert sorted(own) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert len(batch) * lengths[batch].max() <= budget


@given(lengths, sizes, budgets, seeds, st.data())
def test_the_order_after_a_step_is_the_rest_of_the_whole_order(lengths, batch_size, budget, seed, data):
    sampler = BucketedBatches(lengths, batch_size, budget, 3, seed)
    whole = list(sampler)
    step = data.draw(st.integers(0, len(whole)))
    rest = sampler.after(step)
    assert list(rest) == whole[step:]
    assert len(rest) == len(whole) - step
    further = data.draw(st.integers(0, len(rest)))
    assert list(rest.after(further)) == whole[step + further :]


def test_a_pair_over_the_budget_gets_a_batch_to_itself():
    sampler = BucketedBatches(np.array([3, 50, 3, 3]), 8, 9, 1, 0)
    assert sorted(map(sorted, sampler)) == [[0, 2, 3], [1]]


def test_batches_have_similar_lengths_and_pools_keep_the_order_of_the_draw(monkeypatch):
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 33, 6400)
    without, with_buckets = EpochBatches(6400, 32, 1, 0), BucketedBatches(lengths, 32, 1 << 20, 1, 0)
    assert len(with_buckets) == len(without)
    padded = [sum(len(batch) * lengths[batch].max() for batch in of) for of in (without, with_buckets)]
    assert padded[1] < 0.62 * padded[0]
    assert padded[1] < 1.02 * lengths.sum()
    monkeypatch.setattr(batch_order, "POOL", 10)
    for number, batch in enumerate(BucketedBatches(lengths, 32, 1 << 20, 1, 0)):
        assert {item // 320 for item in batch} == {number // 10}


@given(lengths, sizes, budgets, seeds, st.integers(2, 4))
def test_ranks_share_each_batch(lengths, batch_size, budget, seed, world):
    """All ranks take equally many steps, and no pair is lost or repeated."""
    for batch in BucketedBatches(lengths, batch_size, budget, 1, seed):
        shares = [[batch[place] for place in Ranks(rank, world).share(len(batch))] for rank in range(world)]
        assert [item for share in shares for item in share] == batch


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=1, max_size=4), st.data())
def test_drawn_texts_equal_the_texts_of_their_sources(sources, data):
    tokenized = []
    for number, of in enumerate(sources):
        offsets = np.cumsum([0, *of])
        ids = np.arange(offsets[-1], dtype=np.int32) + 1000 * number
        tokenized.append(TokenizedTexts(ids, ids % 2 == 0, offsets))
    places = [(number, row) for number, of in enumerate(sources) for row in range(len(of))]
    drawn = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=12))
    texts = DrawnTexts(tuple(tokenized), *np.array(drawn, np.int64).T)
    items = data.draw(st.lists(st.integers(0, len(drawn) - 1), min_size=1, max_size=12))
    taken = texts.take(items)
    assert texts.lengths.tolist() == [sources[number][row] for number, row in drawn]
    for place, item in enumerate(items):
        number, row = drawn[item]
        expected = tokenized[number].take([row])
        own = slice(taken.offsets[place], taken.offsets[place + 1])
        assert taken.ids[own].tolist() == expected.ids.tolist()
        assert taken.mask[own].tolist() == expected.mask.tolist()


@pytest.fixture(scope="module")
def encoder():
    return make_encoder(dropout=0.2)


@pytest.mark.parametrize("sides", [("query",), ("query", "document")])
def test_a_bucketed_training_resumes_exactly_with_any_number_of_workers(encoder, tmp_path, sides):
    settings = replace(SETTINGS, batch_size=16, batch_tokens=48)
    objective = MSE(english_weight=1.0)
    alone = Study(encoder, tmp_path / "alone", settings, objective, sides=sides)
    alone.done = alone.run(keep=False)
    cut = Study(encoder, tmp_path / "cut", settings, objective, sides=sides, workers=2)
    for step in (2, alone.done.steps - 1):
        cut.fall_at = step
        with pytest.raises(Killed):
            cut.run()
    cut.fall_at = None
    cut.done = cut.run(Interruption())
    assert (cut.done.steps, cut.done.tokens, cut.done.pairs) == (alone.done.steps, alone.done.tokens, 120)
    assert cut.history.rows == alone.history.rows
    for name, value in alone.weights.items():
        np.testing.assert_array_equal(cut.weights[name], value, err_msg=name)
