"""Signals while what runs share is built: obeyed within seconds, however many texts there are."""

import os
import signal
import threading
import time

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.interruption import Interrupted, interruptible
from optical_sweeps.runs.shared.prepare import prepare
from optical_sweeps.runs.spec.run_spec import RunSpec
from tests.support.configs import compose

TEXTS = 100_000
LIMIT = 5.0
"""Seconds of CPU time until a signal is obeyed."""
SMALL = (
    "data=synthetic", "data.lexicon_size=120", "data.topics=20", "data.documents_per_topic=1",
    "languages=synthetic", "languages.high=[near]", "languages.low=[]",
    "backbone=tiny", "backbone.layers=1", "backbone.hidden_size=32",
    "objective=contrastive", "logger.mode=disabled", "machine.accelerator=cpu", "teacher.training.epochs=1",
)  # fmt: skip


def test_a_signal_is_obeyed_wherever_it_arrives(tmp_path, monkeypatch):
    """The signals come at growing delays, until a call builds everything before its signal."""
    spec = RunSpec.from_config(compose("train", *SMALL, f"paths.artifacts={tmp_path}"))
    words = [f"w{number}x{number % 977}" for number in range(TEXTS)]
    bitext = Bitext("near", tuple(f"{word} {word[::-1]} red fox" for word in words), tuple(words))
    monkeypatch.setattr(type(spec.corpus), "bitext", lambda corpus, language: bitext)
    waits = []
    for delay in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
        sent: list[float] = []

        def send(sent: list[float] = sent) -> None:
            sent.append(time.process_time())
            os.kill(os.getpid(), signal.SIGTERM)

        try:
            _prepare(spec, threading.Timer(delay, send))
        except Interrupted:
            waits.append(time.process_time() - sent[0])
        else:
            break
    assert len(waits) >= 2
    assert max(waits) < LIMIT, waits


def _prepare(spec: RunSpec, timer: threading.Timer) -> None:
    with interruptible() as interruption:
        timer.start()
        prepare(spec, interruption)
        timer.cancel()
