"""Batches, schedule, and whole distillations of a tiny encoder."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from optical_sweeps.corpora.collections import RelevantPair
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.objectives import Contrastive, ObjectiveOutput, Optical
from optical_sweeps.training.batch_order import EpochBatches
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.optimiser import adamw, warmup_then_decay
from optical_sweeps.training.padding import pad_embeddings
from optical_sweeps.training.teacher_settings import TeacherSettings
from optical_sweeps.training.teacher_training import train_teacher
from optical_sweeps.training.training_settings import TrainingSettings
from optical_sweeps.transport import Sinkhorn
from tests.support.training_study import CODED, WORDS, History, train

MACHINE = Machine(accelerator="cpu")


@pytest.fixture(scope="module")
def encoder():
    settings = TokenEncoderSettings(dim=16, query_prefix="", document_prefix="")
    texts = [*WORDS, *CODED]
    return TokenEncoder(TinyBackbone(layers=1, hidden_size=32, heads=2).build(texts), settings)


class Scores:
    """An evaluator with given scores."""

    def __init__(self, evaluate=lambda student, step: 0.0):
        self.evaluate = evaluate


def run_distillation(encoder, tmp_path, settings=None, objective=None, seed=1, evaluate=lambda *_: 0.0):
    student, history = encoder.copy(), History()
    context = TrainingContext(MACHINE, tmp_path, logger=history)
    settings = settings or TrainingSettings(batch_size=8, epochs=3, learning_rate=3e-3, freeze_embeddings=False)
    done = train(
        student, encoder, objective or Contrastive(), settings, Scores(evaluate), context, pairs=64, seed=seed
    )
    return student, done, history.rows


@given(st.integers(1, 50), st.integers(1, 9), st.integers(1, 3), st.integers(0, 5))
def test_every_epoch_visits_every_pair_once(size, batch_size, epochs, seed):
    batches = list(EpochBatches(size, batch_size, epochs, seed))
    assert len(batches) == len(EpochBatches(size, batch_size, epochs, seed))
    visited = [item for batch in batches for item in batch]
    for epoch in range(epochs):
        assert sorted(visited[epoch * size : (epoch + 1) * size]) == list(range(size))
    assert visited[:size] == list(range(size)), "the first epoch keeps the draw's own order"


def test_schedule_rises_to_the_peak_and_falls_to_zero():
    settings = TrainingSettings(learning_rate=0.5, warmup_fraction=0.2)
    optimiser = adamw([torch.nn.Parameter(torch.zeros(2, 2))], settings)
    schedule = warmup_then_decay(optimiser, settings, 10)
    rates = []
    for _ in range(10):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.5)
    assert rates[:3] == sorted(rates[:3])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.0)


def test_weight_decay_spares_biases_and_frozen_parameters():
    matrix, bias, frozen = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2,), (3, 3)))
    frozen.requires_grad_(False)
    decayed, spared = adamw([matrix, bias, frozen], TrainingSettings(weight_decay=0.1)).param_groups
    assert decayed["params"] == [matrix]
    assert decayed["weight_decay"] == 0.1
    assert spared["params"] == [bias]
    assert spared["weight_decay"] == 0


def test_padded_teacher_vectors_are_the_ragged_ones(encoder):
    ragged = encoder.encode(["red cat", "dog", "blue bird house"], "query")
    padded = pad_embeddings(ragged, np.array([2, 0]))
    assert padded.mask.sum(1).tolist() == [len(ragged[2]), len(ragged[0])]
    np.testing.assert_array_equal(padded.vectors[1][padded.mask[1]], ragged[0])
    assert not padded.vectors[~padded.mask].any()


@pytest.mark.parametrize("objective", [Contrastive(), Optical(Sinkhorn())], ids=["contrastive", "optical"])
def test_distillation_brings_the_loss_down(encoder, tmp_path, objective):
    _, done, log = run_distillation(encoder, tmp_path, objective=objective)
    losses = [metrics["train/loss"] for _, metrics in log]
    assert done.steps == 24
    assert log[-1][0] == 24, "the last step is logged"
    assert losses[-1] < 0.9 * losses[0]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(encoder, tmp_path):
    weights = [run_distillation(encoder, tmp_path, seed=seed)[0].state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_the_teacher_is_unchanged(encoder, tmp_path):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    run_distillation(encoder, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_frozen_embeddings_are_unchanged(encoder, tmp_path):
    settings = TrainingSettings(batch_size=8, freeze_embeddings=True)
    student, _, _ = run_distillation(encoder, tmp_path, settings)
    for ours, theirs in zip(
        student.backbone.embeddings.parameters(), encoder.backbone.embeddings.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert not torch.equal(student.projection.weight, encoder.projection.weight)


def test_keep_best_restores_the_best_weights(encoder, tmp_path):
    seen = {}

    def measure(student, step):
        seen[step] = student.projection.weight.detach().clone()
        return 1.0 if step == 4 else 0.0

    settings = TrainingSettings(batch_size=8, epochs=1, validate_every=4, keep="best")
    student, done, _ = run_distillation(encoder, tmp_path, settings, evaluate=measure)
    assert sorted(seen) == [0, 4, 8]
    assert done.best_step == 4
    assert torch.equal(student.projection.weight, seen[4])
    assert not torch.equal(seen[4], seen[8])


def test_patience_ends_the_training_early(encoder, tmp_path):
    settings = TrainingSettings(batch_size=8, epochs=3, validate_every=2, patience=2)
    _, done, _ = run_distillation(encoder, tmp_path, settings, evaluate=lambda _, step: -step)
    assert done.steps == 4


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_batch(encoder, tmp_path):
    class Broken(Contrastive):
        def __call__(self, student, teacher, english):
            output = super().__call__(student, teacher, english)
            return ObjectiveOutput(output.loss * float("nan"), output.diagnostics)

    with pytest.raises(UserError, match=r"the loss is nan at step 0.*training\.learning_rate"):
        run_distillation(encoder, tmp_path, objective=Broken())
    batch = load_file(tmp_path / "wreck" / "batch.safetensors")
    assert batch["input_ids"].shape[0] == 8
    assert json.loads((tmp_path / "wreck" / "report.json").read_text())["loss"] == "nan"


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_half_precision_trains(encoder, tmp_path, precision):
    settings = TrainingSettings(batch_size=8, epochs=3, learning_rate=3e-3, precision=precision)
    _, _, log = run_distillation(encoder, tmp_path, settings, objective=Optical(Sinkhorn()))
    assert log[-1][1]["train/loss"] < log[0][1]["train/loss"]


def test_a_teacher_learns_its_pairs_and_is_reproducible(encoder, tmp_path):
    triples = Triples.of_pairs([RelevantPair(a, b, a) for a, b in zip(WORDS, CODED, strict=True)])
    recipe = TeacherSettings(
        TrainingSettings(batch_size=6, epochs=60, learning_rate=3e-3, freeze_embeddings=False)
    )
    backbone = TinyBackbone(layers=1, hidden_size=32, heads=2)
    starts = [TokenEncoder(backbone.build([*WORDS, *CODED]), encoder.settings) for _ in range(2)]
    teachers = [train_teacher(recipe, start, triples, TrainingContext(MACHINE, tmp_path)) for start in starts]
    states = [teacher.state_dict() for teacher in teachers]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    queries = teachers[0].encode(WORDS, "query")
    documents = teachers[0].encode(CODED, "document")
    best = [
        int(np.argmax([(queries[q] @ documents[d].T).max(1).sum() for d in range(len(CODED))]))
        for q in range(len(WORDS))
    ]
    assert np.mean(np.array(best) == np.arange(len(WORDS))) > 0.8


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_size", 0), ("learning_rate", 0.0), ("warmup_fraction", 1.5), ("precision", "8"), ("keep", "all"),
     ("patience", 0)],
)  # fmt: skip
def test_bad_settings_name_their_key(key, value):
    with pytest.raises(UserError, match=rf"training\.{key}: "):
        TrainingSettings(**{key: value})


def test_waiting_for_a_better_score_needs_validations():
    with pytest.raises(UserError, match=r"training\.validate_every"):
        TrainingSettings(patience=3)
