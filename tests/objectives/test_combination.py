"""Weighted sums of objectives."""

import pytest
import torch

from optical_sweeps.errors import UserError
from optical_sweeps.objectives import MSE, Combination, Contrastive, GreedyAlign, NoDistillation, Optical
from optical_sweeps.transport import Exact
from tests.support.objective_batches import embeddings, ids


@pytest.fixture
def batch():
    return embeddings([3, 5, 2], seed=1), embeddings([4, 2, 6], seed=2), ids(3)


def test_the_loss_is_the_weighted_sum_and_diagnostics_are_named_by_part(batch):
    parts = {"ot": Optical(Exact()), "nce": Contrastive()}
    output = Combination(parts, {"ot": 2.0, "nce": 0.25})(*batch)
    losses = {name: part(*batch).loss for name, part in parts.items()}
    torch.testing.assert_close(output.loss, 2 * losses["ot"] + 0.25 * losses["nce"])
    torch.testing.assert_close(output.diagnostics["nce_loss"], losses["nce"])
    assert {"ot_plan_entropy", "nce_in_batch_accuracy"} <= set(output.diagnostics)


def test_one_objective_of_weight_1_equals_the_objective(batch):
    assert torch.equal(Combination({"a": MSE()}, {"a": 1.0})(*batch).loss, MSE()(*batch).loss)


def test_a_part_of_weight_0_is_neither_computed_nor_trained(batch):
    both = Combination({"a": MSE(), "b": Contrastive(learn_temperature=True)}, {"a": 1.0, "b": 0.0})
    assert torch.equal(both(*batch).loss, MSE()(*batch).loss)
    assert "b_loss" not in both(*batch).diagnostics
    assert not list(both.parameters())


def test_a_combination_has_the_parameters_and_buffers_of_its_parts(batch):
    both = Combination({"a": Contrastive(learn_temperature=True, queue=2), "b": MSE()}, {"a": 1.0, "b": 1.0})
    assert [name for name, _ in both.named_parameters()] == ["parts.a.log_scale"]
    both(*batch).loss.backward()
    assert both.parts["a"].log_scale.grad is not None
    assert both.state_dict()["parts.a._queue.ids"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("objectives", "weights", "message"),
    [
        ({}, {}, r"objective\.objectives: nothing to combine"),
        ({"a": MSE()}, {"a": -1.0}, r"objective\.weights\.a: -1"),
        ({"a": MSE()}, {}, r"objective\.weights\.a: missing"),
        ({"a": MSE()}, {"a": 1.0, "b": 1.0}, r"objective\.objectives\.b: missing"),
        ({"a": MSE(), "b": GreedyAlign()}, {"a": 0, "b": 0}, r"objective\.weights: all are 0"),
        ({"a": NoDistillation()}, {"a": 1.0}, r"objective\.objectives\.a: none trains nothing"),
    ],
)
def test_bad_settings_name_their_key(objectives, weights, message):
    with pytest.raises(UserError, match=message):
        Combination(objectives, weights)
