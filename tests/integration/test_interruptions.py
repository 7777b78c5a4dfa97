"""A run that is asked to stop, or that the disk lets down, and then finished: the digits of one left alone."""

import json
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interrupted
from optical_sweeps.runs.distillation.retrieval_run import RetrievalRun
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.spec.run_spec import RunSpec
from tests.support.configs import compose

SMALL = (
    "data=synthetic", "data.lexicon_size=120", "data.topics=40", "data.documents_per_topic=2",
    "languages.high=[near]", "languages.low=[distant]", "backbone=tiny", "backbone.layers=1",
    "backbone.hidden_size=32", "backbone.vocabulary_size=500", "backbone.dropout=0.1", "encoder.dim=16",
    "teacher.training.epochs=2", "mixture.total=160", "training.batch_size=8", "training.epochs=2",
    "training.log_every=1", "training.validate_every=7", "machine.accelerator=cpu",
    "logger=disabled", "sweep.name=small", "objective=contrastive",
)  # fmt: skip
STEPS = 40


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture
def run(tmp_path, artifacts) -> Any:
    """Does the run, in this process, and tells what its folder holds."""

    def work(name: str, *overrides: str) -> RunFolder:
        places = (f"paths.sweeps={tmp_path / name}", f"paths.artifacts={artifacts}")
        spec = RunSpec.from_config(compose("train", *SMALL, *places, *overrides))
        folder = RunFolder(spec.folder)
        work.folder = folder
        RetrievalRun(spec.config).perform(folder)
        return folder

    return work


def results(folder: RunFolder) -> dict[str, Any]:
    record = folder.record()
    kept = ("id", "facts", "measures", "training")
    return {**{name: record[name] for name in kept}, "metrics": folder.metrics_path.read_text()}


@contextmanager
def signalled(sweep: Path, rows: int, number: int) -> Iterator[None]:
    """Send this process a signal once a run below has logged so many rows; one that comes too late is lost."""

    over = threading.Event()

    def watch() -> None:
        while sum(path.read_bytes().count(b"\n") for path in sweep.glob("*/*/metrics.jsonl")) < rows:
            if over.wait(0.001):
                return
        os.kill(os.getpid(), number)

    before = signal.signal(number, lambda *_: None)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(number, before)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As on a full disk, what would make a file larger is refused in its middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_that_is_asked_to_stop_goes_on_where_it_was(run, tmp_path, capsys):
    alone = run("alone")
    for number, rows in ((signal.SIGTERM, 5), (signal.SIGUSR2, 20)):
        with pytest.raises(Interrupted), signalled(tmp_path / "asked", rows, number):
            run("asked")
        assert run.folder.state() == "stale"
        assert f"stopped by {number.name}; run the same command again to continue" in capsys.readouterr().out
    folder = run("asked")
    assert results(folder) == results(alone)
    assert alone.record()["resumed_from"] == []
    first, second = folder.record()["resumed_from"]
    assert 0 < first < second <= STEPS
    assert [path.name for path in (folder.path / "checkpoints").iterdir()] == ["student.safetensors"]


def test_what_comes_after_training_does_not_train_again(run):
    alone = run("alone")
    folder = run("after", "machine.keep_checkpoints=true")
    names = {path.name for path in (folder.path / "checkpoints").iterdir()}
    assert {"student.safetensors", "attempts.json", "resume-000001.safetensors"} <= names
    folder.record_path.unlink()
    (folder.path / "per_query.parquet").unlink()
    run("after")
    assert results(folder) == results(alone)
    assert folder.record()["resumed_from"] == [STEPS]
    assert folder.record()["timings"]["train"] > 0


def test_a_full_disk_fails_the_run_in_one_line_and_a_retry_mends_it(run, capsys):
    alone = run("alone")
    with largest_file(30_000), pytest.raises(UserError, match="File too large; free space"):
        run("full", "machine.checkpoint_seconds=0")
    told = [line for line in capsys.readouterr().out.splitlines() if "no checkpoint written" in line]
    assert len(told) == 1, "training goes on, with one warning"
    assert run.folder.state() == "failed"
    failure = json.loads(run.folder.failure_path.read_text())
    assert failure["cause"] == "disk"
    assert "\n" not in failure["message"]
    assert not run.folder.record_path.exists()
    folder = run("full")
    assert folder.state() == "done"
    assert results(folder) == results(alone)


def test_a_folder_that_cannot_be_made_is_one_line(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Not a directory"):
        run("file")
