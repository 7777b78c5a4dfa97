import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.transport import (
    Exact,
    Ipot,
    Sinkhorn,
    TransportProblem,
    aligned_pairs,
    alignment_error_rate,
)

pair_sets = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)))


@given(pair_sets, pair_sets, pair_sets)
def test_error_rate_lies_between_0_and_1_and_possible_links_only_help(predicted, sure, possible):
    strict = alignment_error_rate(predicted, sure)
    lenient = alignment_error_rate(predicted, sure, possible)
    assert 0 <= lenient <= strict <= 1
    assert alignment_error_rate(sure, sure) == 0


@given(pair_sets, pair_sets)
def test_error_rate_is_one_less_f_when_all_links_are_sure(predicted, sure):
    shared = len(predicted & sure)
    if shared:
        precision, recall = shared / len(predicted), shared / len(sure)
        f = 2 * precision * recall / (precision + recall)
        assert alignment_error_rate(predicted, sure) == pytest.approx(1 - f)


@pytest.mark.parametrize("solver", [Exact(), Sinkhorn(0.02), Ipot()])
def test_solvers_recover_a_noisy_permutation(solver):
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(8, 15, 32, generator=generator), dim=-1)
    order = torch.randperm(15, generator=generator)
    y = torch.nn.functional.normalize(x[:, order] + 0.1 * torch.randn(8, 15, 32, generator=generator), dim=-1)
    plan = solver(TransportProblem.uniform(1 - x @ y.mT))
    gold = {(int(i), j) for j, i in enumerate(order)}
    for index in range(8):
        assert alignment_error_rate(aligned_pairs(plan, index), gold) == 0


def test_pairs_of_padding_are_never_aligned():
    mask = torch.tensor([[True, True, False]])
    plan = Sinkhorn(1.0)(TransportProblem.uniform(torch.zeros(1, 3, 3), mask, mask))
    assert aligned_pairs(plan, 0) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_share_is_one():
    plan = Exact()(TransportProblem.uniform(torch.zeros(1, 2, 2)))
    with pytest.raises(ValueError, match="share"):
        aligned_pairs(plan, 0, share=0.0)
