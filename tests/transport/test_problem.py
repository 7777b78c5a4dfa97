import pytest
import torch

from optical_sweeps.transport import TransportProblem


def test_uniform_marginals_exclude_padding():
    mask = torch.tensor([[True, False, True], [False, False, False]])
    problem = TransportProblem.uniform(torch.rand(2, 3, 2), source_mask=mask)
    assert problem.a.tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    assert problem.b.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert problem.mask[0].all(1).tolist() == [True, False, True]
    assert not problem.mask[1].any()


def test_lengths_are_prefix_masks():
    cost = torch.rand(2, 3, 4)
    lengths = torch.tensor([3, 1]), torch.tensor([2, 4])
    problem = TransportProblem.from_lengths(cost, *lengths)
    masks = (torch.arange(size) < length.unsqueeze(1) for size, length in zip((3, 4), lengths, strict=True))
    expected = TransportProblem.uniform(cost, *masks)
    assert torch.equal(problem.a, expected.a)
    assert torch.equal(problem.b, expected.b)


def test_half_precision_costs_get_marginals_that_sum_to_one():
    problem = TransportProblem.uniform(torch.rand(1, 24, 7).half())
    assert problem.a.dtype == torch.float32
    assert problem.a.sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("cost", "a", "b", "message"),
    [
        (torch.rand(1, 2, 3), torch.rand(1, 3), torch.rand(1, 3), "a has shape"),
        (torch.rand(1, 2, 3), torch.rand(1, 2), torch.rand(2, 3), "b has shape"),
    ],
)
def test_mismatched_shapes_are_refused(cost, a, b, message):
    # below the annotations' own check, which tests install and users need not
    with pytest.raises(Exception, match=rf"{message}|[Tt]ype-check"):
        TransportProblem(cost, a, b)
