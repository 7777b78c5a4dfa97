"""`Optical.align`: the transport plan without the loss."""

import pytest
import torch

from optical_sweeps.objectives import Optical
from optical_sweeps.objectives.costs import cosine_cost
from optical_sweeps.objectives.devices import mean_vector
from optical_sweeps.transport import Exact, Sinkhorn
from tests.support.objective_batches import embeddings, ids


@pytest.mark.parametrize("solver", [Exact(), Sinkhorn(epsilon=0.05)])
def test_the_loss_is_its_cost(solver):
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    optical = Optical(solver, centre="none")
    plan = optical.align(student, teacher).matrix
    cost = cosine_cost(student.vectors, teacher.vectors)
    torch.testing.assert_close(
        (plan * cost).sum((1, 2)).mean(), optical(student, teacher, ids(2)).loss, check_dtype=False
    )
    assert not plan.requires_grad


def test_a_given_mean_replaces_the_mean_of_the_batch():
    student, teacher = embeddings([3, 4], seed=3), embeddings([5, 2], seed=4)
    optical = Optical(Sinkhorn())
    own = mean_vector(teacher.vectors[teacher.mask])
    torch.testing.assert_close(
        optical.align(student, teacher, own).matrix, optical.align(student, teacher).matrix
    )
    other = optical.align(student, teacher, -own).matrix
    assert not torch.allclose(other, optical.align(student, teacher).matrix, atol=1e-3)
