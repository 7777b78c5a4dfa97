"""Two processes on gloo train like one: with the same pairs and losses, and a single writer."""

import multiprocessing
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interrupted, interruptible
from optical_sweeps.objectives import Contrastive, Optical
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.transport import Sinkhorn
from tests.support.training_study import SETTINGS, STEPS, Killed, Study, make_encoder

OBJECTIVES = {
    "optical": lambda: Optical(Sinkhorn()),
    "contrastive": lambda: Contrastive(symmetric=True),
    "learning": lambda: Contrastive(learn_temperature=True, queue=20),
}


@given(st.integers(1, 40), st.integers(1, 6))
def test_every_item_of_a_batch_belongs_to_one_rank(total, world):
    shares = [list(Ranks(rank, world).share(total)) for rank in range(world)]
    assert [item for share in shares for item in share] == list(range(total))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_started_alone_is_told_how_to_start_several():
    with pytest.raises(UserError, match=r"machine\.devices x machine\.nodes: 2, .*one of 1.*srun.*torchrun"):
        Machine(accelerator="cpu", devices=2).ranks()
    assert Machine(accelerator="cpu").ranks() is ALONE


def scenarios(folder: Path, ranks: Ranks) -> dict[str, Any]:
    """Train all scenarios in one rank, or in a process alone, and return the results."""
    encoder = make_encoder()
    found: dict[str, Any] = {}
    for name, objective in OBJECTIVES.items():
        study = Study(encoder, folder / name, objective=objective(), ranks=ranks, seconds=1e6)
        done = study.run()
        rows = [row for row in study.history.rows if "train/loss" in row[1]]
        found[name] = (done.steps, done.tokens, study.history.rows, rows, study.weights)
    tail = replace(SETTINGS, batch_size=59, validate_every=None)  # its last batch has one pair for two devices
    study = Study(encoder, folder / "tail", tail, OBJECTIVES["optical"](), ranks=ranks)
    study.run()
    rows = [row for row in study.history.rows if "train/loss" in row[1]]
    found["tail"] = (study.history.rows, rows, study.weights)
    bucketed = replace(SETTINGS, batch_size=16, batch_tokens=40, validate_every=None)
    study = Study(
        encoder, folder / "buckets", bucketed, OBJECTIVES["contrastive"](), ("query", "document"), ranks=ranks
    )
    done = study.run()
    rows = [row for row in study.history.rows if "train/loss" in row[1]]
    found["buckets"] = (done.steps, done.tokens, done.pairs, study.history.rows, rows, study.weights)
    dropping = Study(make_encoder(dropout=0.2), folder / "left alone", ranks=ranks, seconds=1e6)
    dropping.run()
    again = Study(dropping.encoder, folder / "killed", ranks=ranks)
    for step in (2, 9):
        again.fall_at = step
        with pytest.raises(Killed):
            again.run()
    again.fall_at = None
    # only the last rank receives the signal
    number = signal.SIGUSR1
    again.call_at = (12, lambda: ranks.rank == ranks.world - 1 and signal.raise_signal(number))
    with interruptible() as interruption, pytest.raises(Interrupted):
        again.run(interruption)
    again.call_at = None
    done = again.run()
    found["resumed"] = (
        done.attempts,
        dropping.history.rows,
        again.history.rows,
        dropping.weights,
        again.weights,
    )
    return found


def rank_process(rank: int, port: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    ranks = Machine(accelerator="cpu", devices=2).ranks()
    found: Any = scenarios(Path(folder), ranks)
    found["error"] = _error_of(ranks)
    torch.save(found, Path(folder) / f"rank-{rank}.pt")
    torch.distributed.destroy_process_group()


def _error_of(ranks: Ranks) -> str:
    """The error that this rank gets when rank 0 fails."""

    def fail() -> None:
        raise UserError("one line")

    try:
        ranks.run_on_rank0(fail)
    except UserError as error:
        return f"{error}, {ranks.all_of(ranks.rank)}, {ranks.any(ranks.rank == 1)}"
    return "none"


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> list[dict[str, Any]]:
    """The results of two ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=rank_process, args=(rank, port, str(folder))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(folder / f"rank-{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, Any]:
    return scenarios(tmp_path_factory.mktemp("alone"), ALONE)


@pytest.mark.parametrize("name", [*OBJECTIVES, "tail", "buckets"])
def test_losses_and_weights_are_those_of_one_device(both, alone, name):
    *facts, _, rows, weights = both[0][name]
    *expected_facts, _, expected_rows, expected_weights = alone[name]
    assert facts == expected_facts
    assert [step for step, _ in rows] == [step for step, _ in expected_rows]
    for (step, row), (_, expected) in zip(rows, expected_rows, strict=True):
        assert row.keys() == expected.keys()
        for metric in ("train/loss", "train/learning_rate", "train/gradient_norm"):
            assert row[metric] == pytest.approx(expected[metric], rel=1e-3), (step, metric)
    for weight, expected in expected_weights.items():
        np.testing.assert_allclose(weights[weight], expected, atol=1e-3, err_msg=weight)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_ranks_end_with_one_model_and_only_rank_0_logs(both, name):
    first, second = (of[name][-1] for of in both)
    for weight, value in first.items():
        np.testing.assert_array_equal(second[weight], value, err_msg=weight)
    assert both[1][name][2] == []


def test_a_run_on_several_devices_resumes_exactly(both):
    attempts, rows, rows_again, weights, weights_again = both[0]["resumed"]
    assert attempts == (0, 1, 8, 12)
    assert rows == rows_again
    assert rows[-1][0] == STEPS
    for name, value in weights.items():
        np.testing.assert_array_equal(weights_again[name], value, err_msg=name)


def test_an_error_on_rank_0_is_raised_on_every_rank(both):
    assert [of["error"] for of in both] == ["one line, [0, 1], True"] * 2
