"""An interrupted and resumed training gives the same bits as an uninterrupted one."""

import random
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from optical_sweeps.corpora.collections import RelevantPair
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interrupted, interruptible
from optical_sweeps.objectives import Contrastive, Optical
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.teacher_settings import TeacherSettings
from optical_sweeps.training.teacher_training import train_teacher
from optical_sweeps.training.training_checkpoints import TrainingCheckpoints
from optical_sweeps.transport import Sinkhorn
from tests.support.training_study import CODED, SETTINGS, STEPS, WORDS, Killed, Study, make_encoder


@pytest.fixture(scope="module")
def encoder() -> TokenEncoder:
    """An encoder with dropout, so that its numbers depend on torch's generator."""
    return make_encoder(dropout=0.2)


@pytest.fixture
def study(encoder, tmp_path) -> Study:
    return Study(encoder, tmp_path / "cut off")


def uninterrupted(study: Study) -> Study:
    """The same study, trained without interruption and without checkpoints."""
    alone = replace(study, folder=study.folder.with_name("alone"), history=type(study.history)())
    alone.done = alone.run(keep=False)
    return alone


def killed_at(study: Study, *steps: int) -> None:
    for step in steps:
        study.fall_at = step
        with pytest.raises(Killed):
            study.run()
    study.fall_at = None


def assert_equal(study: Study, alone: Study) -> None:
    """Check weights, logged rows and training facts for exact equality."""
    assert study.history.rows == alone.history.rows
    for name, value in alone.weights.items():
        np.testing.assert_array_equal(study.weights[name], value, err_msg=name)
    facts = ("steps", "best_step", "tokens")
    assert [getattr(study.done, name) for name in facts] == [getattr(alone.done, name) for name in facts]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"objective": Optical(Sinkhorn())},
        {"objective": Contrastive(learn_temperature=True, queue=20, symmetric=True)},
        {"settings": replace(SETTINGS, keep="best", validate_every=2)},
        {"settings": replace(SETTINGS, patience=2, validate_every=2)},
        {"settings": replace(SETTINGS, precision="bf16-mixed", validate_every=None, freeze_layers=1)},
        {"workers": 1},
        {"settings": replace(SETTINGS, teacher="online")},
    ],
    ids=[
        "plain",
        "optical",
        "learning objective",
        "keep best",
        "patience",
        "bf16, frozen",
        "workers",
        "online",
    ],
)
def test_kills_at_any_step_change_nothing(study, changes):
    study = replace(study, **changes)
    alone = uninterrupted(study)
    last = alone.done.steps
    killed_at(study, 1, 2, 2, last // 2, last - 1, last)
    study.done = study.run()
    assert study.done.attempts == (0, 0, 1, 1, last // 2 - 1, last - 2, last - 1)
    assert_equal(study, alone)


def test_dropout_is_active_and_every_random_generator_is_restored(study):
    """The global generators of Python and NumPy are restored too, since libraries draw from them."""
    drawn: list[list[float]] = []

    def draw() -> None:
        drawn.append([random.random(), float(np.random.random()), float(torch.rand(()))])  # noqa: NPY002

    study.call_at = (9, draw)
    alone = uninterrupted(study)
    without = uninterrupted(replace(study, call_at=None))
    assert alone.history.rows != without.history.rows, "an extra draw changed nothing, so dropout is not active"

    killed_at(study, 6)
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(12345)  # draws that the next process made before it resumed
    study.done = study.run()
    assert_equal(study, alone)
    assert drawn[-1][2] == drawn[0][2]


def test_a_kill_between_checkpoints_repeats_steps_but_no_row(study):
    alone = uninterrupted(study)
    study.seconds = 1e6
    killed_at(study, 7)
    assert [step for step, _ in study.history.rows][-1] == 7
    study.done = study.run()
    assert study.done.attempts == (0, 0)
    assert_equal(study, alone)


def test_checkpoints_change_nothing(study):
    alone = uninterrupted(study)
    study.done = study.run()
    assert_equal(study, alone)
    assert study.announced == []


def test_a_finished_training_is_not_trained_again(study):
    study.done = study.run()
    first, weights = study.done, study.weights
    study.fall_at = 1
    study.done = study.run()
    assert study.done.attempts == (0, STEPS)
    assert (study.done.tokens, study.done.best_step) == (first.tokens, first.best_step)
    for name, value in weights.items():
        np.testing.assert_array_equal(study.weights[name], value)


def test_an_interrupted_validation_is_repeated(study):
    """After the last validation, the checkpoint has no step left to train."""
    alone = uninterrupted(study)
    for step in (3, STEPS):
        study.search_at = (step, lambda: signal.raise_signal(signal.SIGUSR1))
        with interruptible() as interruption, pytest.raises(Interrupted):
            study.run(interruption)
        assert study.history.rows[-1][0] == step
        assert "dev" not in study.history.rows[-1][1]
    study.search_at = None
    study.done = study.run()
    assert study.done.attempts == (0, 3, STEPS)
    assert_equal(study, alone)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT])
def test_a_signal_ends_the_training_after_its_step(study, number):
    alone = uninterrupted(study)
    study.seconds = 1e6
    study.call_at = (5, lambda: signal.raise_signal(number))
    with interruptible() as interruption:
        with pytest.raises(Interrupted) as raised:
            study.run(interruption)
        interruption.received = None  # else the block passes it on: Ctrl-C would end the tests
    assert (raised.value.signal, raised.value.at_once, raised.value.code) == (number, False, 75)
    assert study.history.rows[-1][0] == 5
    study.call_at = None
    study.done = study.run()
    assert study.done.attempts == (0, 5)
    assert_equal(study, alone)


def test_a_second_signal_ends_it_at_once(study):
    alone = uninterrupted(study)
    study.seconds = 1e6

    def twice() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    study.call_at = (5, twice)
    with interruptible() as interruption, pytest.raises(Interrupted) as raised:
        study.run(interruption)
    assert raised.value.at_once
    study.call_at = None
    study.done = study.run()
    assert study.done.attempts == (0, 0)
    assert_equal(study, alone)


def test_training_does_not_change_the_objective_of_the_settings(study):
    study.objective = Contrastive(learn_temperature=True)
    before = study.objective.log_scale.item()
    study.run()
    assert study.objective.log_scale.item() == before


def test_a_checkpoint_of_another_run_is_skipped(study, encoder):
    alone = uninterrupted(study)
    other = Study(encoder, study.folder, identity="another study")
    killed_at(other, 4)
    study.done = study.run()
    assert_equal(study, alone)
    assert any(line.endswith("skipped: it belongs to a run with other settings") for line in study.announced)


def test_a_teacher_resumes_exactly(tmp_path):
    triples = Triples.of_pairs([RelevantPair(a, b, a) for a, b in zip(WORDS, CODED, strict=True)])
    recipe = TeacherSettings(replace(SETTINGS, batch_size=5, epochs=4, validate_every=None))
    machine = Machine(accelerator="cpu", checkpoint_seconds=0)

    def train(checkpoints: TrainingCheckpoints | None, fall_at: int | None = None) -> dict[str, torch.Tensor]:
        start = make_encoder(dropout=0.2)

        def progress(step: int, steps: int) -> None:
            if step == fall_at:
                raise Killed

        context = TrainingContext(machine, tmp_path, progress=progress, checkpoints=checkpoints)
        return train_teacher(recipe, start, triples, context).state_dict()

    alone = train(None)
    checkpoints = TrainingCheckpoints(tmp_path, "a teacher")
    for step in (1, 3, 8, 12):
        with pytest.raises(Killed):
            train(checkpoints, step)
    again = train(checkpoints)
    for name, value in alone.items():
        assert torch.equal(again[name], value), name
