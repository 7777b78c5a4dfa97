"""Backbones of several families through the whole program: train, resume, evaluate, export, load."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.support.backbone_families import write_model

TEXTS = (
    "red apple",
    "the quick brown fox jumps over the lazy dog",
    "¿dónde está la manzana roja?",
    "bazi kolu",
)
SMALL = (
    "data=synthetic", "data.lexicon_size=120", "data.topics=20", "data.documents_per_topic=1",
    "languages=synthetic", "languages.high=[near]", "languages.low=[distant]", "backbone=huggingface",
    "backbone.name=model", "encoder.dim=16", "encoder.document_length=32", "encoder.query_length=32",
    "teacher.training.epochs=1", "mixture.total=160", "training.batch_size=8", "training.epochs=2",
    "training.log_every=1", "machine.accelerator=cpu", "logger.mode=disabled", "objective=contrastive",
)  # fmt: skip


@pytest.mark.parametrize("family", ["albert", "bert", "deberta-v2", "mpnet", "roformer", "t5"])
def test_a_family_trains_resumes_is_exported_and_loaded(family, tmp_path, here):
    write_model(family, tmp_path / "model", TEXTS)
    left_alone = here(tmp_path, "train", *SMALL, "sweep.name=alone")
    assert (left_alone.code, left_alone.err) == (0, "")
    _interrupt_after_metrics(tmp_path / "multirun" / "resumed")
    stopped = here(tmp_path, "train", *SMALL, "sweep.name=resumed")
    assert stopped.code == 75, stopped
    assert here(tmp_path, "train", *SMALL, "sweep.name=resumed").code == 0
    alone, resumed = (
        next((tmp_path / "multirun" / name).glob("*/record.json")) for name in ("alone", "resumed")
    )
    measures = [json.loads(path.read_text())["measures"] for path in (alone, resumed)]
    assert measures[0] == measures[1]
    run = str(resumed.parent.relative_to(tmp_path))
    assert here(tmp_path, "export", run, "to=exported").code == 0
    teacher = ("teacher=colbert", "teacher.path=exported", "encoder=checkpoint", "objective=none")
    kept = [word for word in SMALL[:-1] if not word.startswith("teacher.")]
    done = here(tmp_path, "train", *kept, *teacher, "sweep.name=loaded")
    assert (done.code, done.err) == (0, "")


def _interrupt_after_metrics(sweep: Path) -> None:
    """Send this process SIGTERM once a run of the sweep has logged some steps."""

    def watch() -> None:
        while sum(path.read_bytes().count(b"\n") for path in sweep.glob("*/metrics.jsonl")) < 5:
            if over.wait(0.01):
                return
        os.kill(os.getpid(), signal.SIGTERM)

    over = threading.Event()
    threading.Thread(target=watch, daemon=True).start()
