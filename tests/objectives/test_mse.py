"""Squared errors of pooled vectors against loops."""

import pytest
import torch

from optical_sweeps.errors import UserError
from optical_sweeps.objectives import MSE
from optical_sweeps.objectives.scores import pooled
from tests.support.objective_batches import embeddings, ids, slow_pooled, texts


def slow_error(student, teacher):
    pairs = zip(texts(student), texts(teacher), strict=True)
    errors = [sum((a - b) ** 2 for a, b in zip(slow_pooled(s), slow_pooled(t), strict=True)) for s, t in pairs]
    return sum(errors) / len(errors)


@pytest.mark.parametrize("seed", range(5))
def test_mse_agrees_with_loops(seed):
    student, teacher = embeddings([3, 5, 2], seed=seed), embeddings([4, 2, 6], seed=seed + 10)
    assert MSE()(student, teacher, ids(3)).loss.item() == pytest.approx(slow_error(student, teacher), rel=1e-5)


def test_pooling_ignores_the_values_of_padding():
    tokens = embeddings([2, 3], width=5)
    noisy = type(tokens)(torch.where(tokens.mask[..., None], tokens.vectors, 9.0), tokens.mask)
    assert torch.equal(pooled(tokens), pooled(noisy))


def test_bad_settings_name_their_key():
    with pytest.raises(UserError, match=r"objective\.english_weight: -1"):
        MSE(english_weight=-1.0)
