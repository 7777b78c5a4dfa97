"""A sweep whose workers are killed again and again ends with the digits of one that was left alone."""

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KILLS, RUNS = 10, 2


@pytest.fixture(scope="module")
def kills() -> Any:
    """The benchmark's harness, by a name under which forked workers find it too."""
    sys.path.insert(0, str(BENCHMARKS))
    import kills

    yield kills
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def sweeps(kills, tmp_path_factory) -> tuple[Path, Any]:
    """The folder of a sweep left alone, and what became of one under kill -9."""
    folder = tmp_path_factory.mktemp("kills")
    arguments = kills.sweep(RUNS, "logger=wandb", "logger.mode=offline")
    kills.left_alone(folder / "alone", arguments)
    killed = kills.kill_and_finish(
        folder / "killed", arguments, kills=KILLS, runs=RUNS, workers=2, seed=3, limit=1200.0
    )
    return folder / "alone", killed


def test_every_result_is_that_of_the_sweep_left_alone(kills, sweeps):
    alone, killed = sweeps
    assert killed.kills >= KILLS // 2  # on a fast machine the sweep ends before the last
    assert kills.differences(alone, killed.folder) == []


def test_no_record_is_written_twice(sweeps):
    _, killed = sweeps
    assert killed.written_twice == []


def test_training_went_on_in_its_middle(kills, sweeps):
    _, killed = sweeps
    steps = [step for of_run in kills.resumptions(killed.folder).values() for step in of_run]
    assert any(step > 0 for step in steps), steps
    for run in killed.folder.glob("multirun/small/*/checkpoints"):
        assert [path.name for path in run.iterdir()] == ["student.safetensors"]
    assert list(killed.folder.glob("artifacts/teacher/.*.resume")) == []


def test_wandbs_logs_have_no_hole_and_no_double(sweeps):
    from optical_sweeps.tracking.offline import read_offline
    from optical_sweeps.tracking.records import read_records
    from optical_sweeps.tracking.sources import disagreements

    _, killed = sweeps
    logged = read_offline(killed.folder / "multirun/small")
    assert [run.complete for run in logged] == [True] * RUNS
    assert disagreements(logged, read_records(killed.folder / "multirun/small")) == []
    for run in logged:
        losses = [row["step"] for row in run.history if "train/loss" in row]
        assert losses == list(range(1, 41))
