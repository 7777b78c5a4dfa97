"""The triplet loss against loops."""

import pytest
import torch

from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Triplet
from tests.support.objective_batches import SLOW_SCORES, embeddings, ids, texts


def slow_triplet(students, teachers, english, score, margin, hardest):
    total = 0.0
    for i, student in enumerate(students):
        positive = 1 - score(student, teachers[i])
        negatives = [1 - score(student, t) for j, t in enumerate(teachers) if english[j] != english[i]]
        chosen = [min(negatives)] if hardest and negatives else negatives
        losses = [max(0.0, positive - negative + margin) for negative in chosen]
        total += sum(losses) / max(1, len(losses))
    return total / len(students)


@pytest.mark.parametrize("scores", ["maxsim", "pooled"])
@pytest.mark.parametrize("negatives", ["all", "hardest"])
@pytest.mark.parametrize("english", [[0, 1, 2, 3], [0, 1, 0, 2], [5, 5, 5, 5]])
def test_triplet_agrees_with_loops(scores, negatives, english):
    student, teacher = embeddings([3, 5, 2, 1], seed=1), embeddings([4, 2, 6, 2], seed=2)
    expected = slow_triplet(
        texts(student), texts(teacher), english, SLOW_SCORES[scores], 0.2, negatives == "hardest"
    )
    loss = Triplet(0.2, negatives, scores)(student, teacher, torch.tensor(english)).loss
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_the_loss_is_0_if_every_triplet_keeps_the_margin():
    same = embeddings([4, 6, 3], dim=16)
    output = Triplet(margin=0.01, scores="maxsim")(same, same, ids(3))
    assert output.loss == 0
    assert output.diagnostics["active_triplets"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": -0.1}, r"objective\.margin: -0\.1"),
        ({"negatives": "semi"}, r"objective\.negatives: 'semi'"),
        ({"scores": "x"}, r"objective\.scores: 'x'"),
    ],
)
def test_bad_settings_name_their_key(arguments, message):
    with pytest.raises(UserError, match=message):
        Triplet(**arguments)
