"""The teacher in the step gives the losses of its stored vectors, and `auto` chooses by bytes and time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from optical_sweeps.objectives import Contrastive, Optical
from optical_sweeps.training.online_teacher import encoding_weights
from optical_sweeps.training.teacher_costs import MOST_BYTES, TeacherCosts
from optical_sweeps.transport import Sinkhorn
from tests.support.training_study import SETTINGS, Study, make_encoder

TOLERANCE = 1e-5
"""Largest relative difference of losses that the two teachers may have in float32."""


@pytest.mark.parametrize("objective", [Contrastive(), Optical(Sinkhorn())], ids=["contrastive", "optical"])
def test_online_and_stored_teachers_give_equal_losses(tmp_path, objective):
    encoder = make_encoder()
    losses = []
    for teacher in ("stored", "online"):
        settings = replace(SETTINGS, teacher=teacher, log_every=1)
        study = Study(encoder, tmp_path / teacher, settings, objective, ("query", "document"))
        study.run(keep=False)
        losses.append([row["train/loss"] for _, row in study.history.rows if "train/loss" in row])
    assert len(losses[0]) > 3
    np.testing.assert_allclose(losses[0], losses[1], rtol=TOLERANCE)


def test_the_teacher_of_a_step_is_not_trained(tmp_path):
    encoder = make_encoder(dropout=0.2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    study = Study(encoder, tmp_path, replace(SETTINGS, teacher="online"))
    study.run(keep=False)
    assert all((value == before[name]).all() for name, value in encoder.state_dict().items())


def test_auto_stores_what_is_used_again_and_encodes_what_is_used_once_on_a_gpu():
    small = encoding_weights(make_encoder())
    once = TeacherCosts.of(small, 10**6, 10**6, 64, "cuda:0")
    assert not once.stores
    large = make_encoder()
    large.backbone.more = torch.nn.Parameter(torch.empty(10**8, device="meta"))
    weights = encoding_weights(large)
    assert weights == small + 10**8
    assert TeacherCosts.of(weights, 10**6, 10**9, 64, "cuda:0").stores
    assert TeacherCosts.of(weights, 10**6, 10**6, 64, "cpu").stores  # other runs may use them
    assert once.stored_bytes == 10**6 * 64
    assert once.line().startswith("teacher: online; storing its vectors takes 64.0 MB and about ")
    huge = TeacherCosts(MOST_BYTES + 1, 1.0, 1e9)
    assert not huge.stores
    assert TeacherCosts(MOST_BYTES, 1.0, 1.0).stores
