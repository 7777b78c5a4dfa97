"""The greedy matching against a sorted reference, and the loss of its links."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.objectives import GreedyAlign, Optical
from optical_sweeps.objectives.greedy_align import greedy_matching
from optical_sweeps.transport import Exact
from tests.support.objective_batches import dot, embeddings, ids, texts

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=4)


def slow_links(ours, theirs):
    pairs = [(dot(s, t), i, j) for i, s in enumerate(ours) for j, t in enumerate(theirs)]
    links = []
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if all(i != row and j != column for row, column in links):
            links.append((i, j))
    return links


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(0, 1000), st.data())
def test_the_matching_agrees_with_sorting_all_pairs(lengths, seed, data):
    others = data.draw(st.lists(st.integers(1, 6), min_size=len(lengths), max_size=len(lengths)))
    student, teacher = embeddings(lengths, seed=seed), embeddings(others, seed=seed + 1)
    aligned = greedy_matching(student.vectors @ teacher.vectors.mT, student.mask, teacher.mask)
    expected = [slow_links(s, t) for s, t in zip(texts(student), texts(teacher), strict=True)]
    assert [set(map(tuple, pair.nonzero().tolist())) for pair in aligned] == [set(links) for links in expected]


def test_the_loss_is_the_mean_squared_error_of_the_links():
    student, teacher = embeddings([3, 5, 2], seed=1), embeddings([4, 2, 6], seed=2)
    expected = []
    for ours, theirs in zip(texts(student), texts(teacher), strict=True):
        links = slow_links(ours, theirs)
        expected.append(sum(2 - 2 * dot(ours[i], theirs[j]) for i, j in links) / len(links))
    output = GreedyAlign()(student, teacher, ids(3))
    assert output.loss.item() == pytest.approx(sum(expected) / 3, rel=1e-5)
    assert output.diagnostics["unaligned_student_tokens"].item() == pytest.approx((0 + 3 / 5 + 0) / 3)


def test_reordering_a_sentence_changes_nothing():
    student, teacher = embeddings([5], seed=1), embeddings([5], seed=2)
    mixed = type(student)(student.vectors[:, [3, 0, 4, 1, 2]], student.mask)
    losses = (GreedyAlign()(side, teacher, ids(1)).loss for side in (student, mixed))
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_matching_is_never_cheaper_than_exact_transport(seed):
    student, teacher = embeddings([4, 6], seed=seed), embeddings([4, 6], seed=seed + 50)
    exact = Optical(Exact(), centre="none", cost="squared_euclidean")(student, teacher, ids(2)).loss
    assert GreedyAlign()(student, teacher, ids(2)).loss >= exact - 1e-6
