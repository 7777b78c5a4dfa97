"""The learning rate of each step, the two groups of parameters, and gradient clipping."""

import math

import pytest
import torch

from optical_sweeps.objectives import MSE
from optical_sweeps.training.optimiser import adamw, scheduled_adamw
from optical_sweeps.training.training_settings import TrainingSettings
from tests.support.training_study import SETTINGS, Study, make_encoder


def rates(steps: int, warmup_fraction: float, learning_rate: float = 1.0) -> list[float]:
    settings = TrainingSettings(learning_rate=learning_rate, warmup_fraction=warmup_fraction)
    parts = scheduled_adamw([torch.nn.Parameter(torch.zeros(2, 2))], settings, steps)
    optimiser, schedule = parts["optimizer"], parts["lr_scheduler"]
    assert schedule["interval"] == "step"
    used = []
    for _ in range(steps + 2):
        used.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule["scheduler"].step()
    return used


@pytest.mark.parametrize(
    ("steps", "warmup_fraction", "expected"),
    [
        (10, 0.2, [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0, 0]),
        (4, 0.0, [1, 3 / 4, 2 / 4, 1 / 4, 0, 0]),
        (4, 0.5, [1 / 3, 2 / 3, 1, 1 / 2, 0, 0]),
        (3, 1.0, [1 / 4, 2 / 4, 3 / 4, 0, 0]),
        (4, 0.4, [1 / 3, 2 / 3, 1, 1 / 2, 0, 0]),  # 1.6 steps of warm-up are rounded to 2
        (1, 0.1, [1, 0, 0]),
    ],
)
def test_the_rate_of_each_step(steps, warmup_fraction, expected):
    """By hand: no step has rate 0, warm-up reaches the peak, and decay reaches 0 after the last step."""
    assert rates(steps, warmup_fraction) == pytest.approx(expected)
    assert rates(steps, warmup_fraction, 3e-4) == pytest.approx([3e-4 * rate for rate in expected])


def test_vectors_and_scalars_are_not_decayed():
    parameters = [torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2,), (), (2, 2, 2))]
    decayed, spared = adamw(parameters, TrainingSettings(weight_decay=0.1, learning_rate=0.5)).param_groups
    assert [parameter.shape for parameter in decayed["params"]] == [(2, 2), (2, 2, 2)]
    assert [parameter.shape for parameter in spared["params"]] == [(2,), ()]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert (decayed["lr"], spared["lr"]) == (0.5, 0.5)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_only_float32_has_the_fused_kernel(precision):
    (group, _) = adamw(
        [torch.nn.Parameter(torch.ones(2, 2))], TrainingSettings(precision=precision)
    ).param_groups
    assert group["fused"] == (precision == "32-true")


def norms(tmp_path, **settings) -> tuple[float, float]:
    """The norm of a step's gradients as logged, which is before clipping, and as the optimiser got them."""
    study = Study(make_encoder(), tmp_path, TrainingSettings(**settings), MSE())
    norms = []

    def gradients() -> None:
        squares = [p.grad.square().sum() for p in study.student.parameters() if p.grad is not None]
        norms.append(math.sqrt(float(sum(squares))))

    study.call_at = (2, gradients)
    study.run(keep=False)
    return study.history.rows[1][1]["train/gradient_norm"], norms[0]


BRIEF = {"batch_size": 30, "freeze_embeddings": False, "log_every": 1}


def test_gradients_are_clipped_to_the_largest_norm(tmp_path):
    before, after = norms(tmp_path, gradient_clip=1e-3, **BRIEF)
    assert before > 2e-3
    assert after == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("clip", [0.0, 1e3])
def test_without_clipping_or_below_the_limit_gradients_are_unchanged(tmp_path, clip):
    before, after = norms(tmp_path, gradient_clip=clip, **BRIEF)
    assert after == pytest.approx(before, rel=1e-4)
    assert before > 2e-3


def test_clipping_is_on_by_default():
    assert TrainingSettings().gradient_clip == 1.0
    assert SETTINGS.gradient_clip == 1.0
