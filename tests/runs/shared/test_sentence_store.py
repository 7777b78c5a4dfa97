"""Stored sentences: each is computed once, whoever needs it, and kills lose nothing that was finished."""

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.interruption import Interrupted, Interruption
from optical_sweeps.runs.shared import sentence_store
from optical_sweeps.runs.shared.sentence_store import SentenceArtifact, stored_sentences
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.shared.teacher_vectors import TeacherVectors
from tests.support.training_study import WORDS, make_encoder


@dataclass
class Lengths(SentenceArtifact):
    """The characters of a text; it logs every text that it computes."""

    log: Path
    seconds: float = 0.0
    name: str = "lengths"

    kind = "lengths"

    def key(self) -> Mapping[str, object]:
        return {"name": self.name}

    def compute(self, texts: Sequence[str], advance):
        for place in range(len(texts)):
            advance(place, len(texts))
            time.sleep(self.seconds)
        with self.log.open("a") as file:
            file.writelines(f"{text}\n" for text in texts)
        return np.arange(len(texts) + 1), {"length": np.array(list(map(len, texts)))}

    def computed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


def lengths(builds: ArtifactBuilds, artifact: Lengths, texts: Sequence[str]) -> list[int]:
    stored = stored_sentences(builds, artifact, texts)
    arrays = [shard.array("length") for shard in stored.shards]
    return [int(arrays[source][row]) for source, row in zip(stored.source, stored.rows, strict=True)]


@settings(deadline=None, max_examples=8)
@given(st.lists(st.lists(st.text("ab", min_size=1, max_size=5), min_size=1), min_size=1, max_size=4))
def test_every_sentence_is_computed_once(tmp_path_factory, draws):
    folder = tmp_path_factory.mktemp("store")
    artifact = Lengths(folder / "log")
    for texts in draws:
        builds = ArtifactBuilds.at(folder)
        assert lengths(builds, artifact, texts) == list(map(len, texts))
    assert sorted(artifact.computed()) == sorted({text for texts in draws for text in texts})
    assert [entry.problem for entry in builds.store.verify()] == [None] * len(builds.store.ls())


def test_another_key_or_a_broken_shard_is_computed_again(tmp_path):
    builds, artifact = ArtifactBuilds.at(tmp_path), Lengths(tmp_path / "log")
    lengths(builds, artifact, ["a", "bb"])
    lengths(builds, Lengths(tmp_path / "log", name="other"), ["a"])
    assert sorted(artifact.computed()) == ["a", "a", "bb"]
    for entry in builds.store.ls():
        (entry.folder / "length.npy").unlink()
    assert lengths(ArtifactBuilds.at(tmp_path), artifact, ["bb", "a"]) == [2, 1]
    assert sorted(artifact.computed()) == ["a", "a", "a", "bb", "bb"]


def test_an_interruption_keeps_the_finished_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(sentence_store, "FIRST_SHARD", 2)
    monkeypatch.setattr(sentence_store, "SHARD_SECONDS", 0.0)  # one sentence for each of the following shards
    interruption = Interruption()
    builds, artifact = ArtifactBuilds(ArtifactStore(tmp_path), interruption), Lengths(tmp_path / "log")
    compute = Lengths.compute

    def interrupted(self, texts, advance):
        if len(self.computed()) == 3:
            interruption.received = signal.SIGTERM
        return compute(self, texts, advance)

    monkeypatch.setattr(Lengths, "compute", interrupted)
    with pytest.raises(Interrupted):
        lengths(builds, artifact, ["a", "bb", "ccc", "dddd", "eeeee"])
    assert sorted(artifact.computed()) == ["ccc", "dddd", "eeeee"]
    monkeypatch.undo()
    assert lengths(ArtifactBuilds.at(tmp_path), artifact, ["a", "bb", "ccc", "dddd", "eeeee"]) == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert len(artifact.computed()) == 5


TEXTS = [f"{number:03d}" + "x" * (number % 5) for number in range(60)]


def _work(root: Path, texts: Sequence[str]) -> None:
    sentence_store.FIRST_SHARD, sentence_store.SHARD_SECONDS, sentence_store.WAIT_SECONDS = 7, 0.2, 0.01
    found = lengths(ArtifactBuilds(ArtifactStore(root)), Lengths(root / "log", 0.002), texts)
    os._exit(0 if found == list(map(len, texts)) else 1)


def test_processes_share_the_work(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(tmp_path, TEXTS[start:][:40])) for start in (0, 10, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(Lengths(tmp_path / "log").computed()) == sorted(TEXTS)
    assert not list((tmp_path / "lengths").glob(".*.claim-*"))


def test_kills_lose_only_unfinished_shards(tmp_path):
    """A killed process leaves only complete shards; `benchmarks/bitext.py` kills at random times."""
    context = multiprocessing.get_context("fork")
    killed = 0
    for number, shards in enumerate((0, 1, 3)):  # stored by both before one of them is killed
        texts = [f"{number}-{text}" for text in TEXTS]
        before = len(list(tmp_path.glob("lengths/*/manifest.json")))
        first, second = (context.Process(target=_work, args=(tmp_path, texts)) for _ in range(2))
        first.start()
        second.start()
        while len(list(tmp_path.glob("lengths/*/manifest.json"))) < before + shards:
            time.sleep(0.002)
        first.kill()
        first.join()
        second.join()
        killed += first.exitcode == -9
        assert second.exitcode == 0
    assert killed
    builds = ArtifactBuilds.at(tmp_path)
    assert {entry.problem for entry in builds.store.verify()} == {None}
    stored = [np.load(entry.folder / "hashes.npy") for entry in builds.store.ls()]
    assert sum(map(len, stored)) == len(np.unique(np.concatenate(stored))) == 3 * len(TEXTS)
    builds.store.prune()
    assert not list((tmp_path / "lengths").glob(".*.tmp-*"))


@pytest.mark.parametrize("side", ["query", "document"])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_vectors_do_not_depend_on_their_company(tmp_path, side, precision):
    teacher = make_encoder()
    texts = [" ".join(WORDS[first : first + count]) for count in (1, 2, 3, 5) for first in range(0, 20, 3)]
    vectors = TeacherVectors(teacher, "teacher", side, precision)
    together = vectors.stored(ArtifactBuilds.at(tmp_path / "together"), texts)
    builds = ArtifactBuilds.at(tmp_path / "apart")
    for start in (20, 7, 0):
        apart = vectors.stored(builds, texts[start:])
    for text in range(len(texts)):
        assert (together[text] == apart[text]).all()
        assert together[text].dtype == np.float32
    whole = teacher.encode(texts, side)
    tolerance = {"float32": 1e-6, "float16": 1e-3, "int8": 1 / 127}[precision]
    assert np.abs(together.take(range(len(texts))).vectors - whole.vectors).max() < tolerance
