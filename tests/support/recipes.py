"""Shipped recipes at the size of a test."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.configs import compose

SMALL = (
    "backbone=tiny", "backbone.hidden_size=32", "backbone.layers=1", "encoder.dim=16", "encoder.query_length=8",
    "encoder.document_length=16", "teacher.training.precision=32-true", "training.precision=32-true",
    "training.batch_size=8", "training.log_every=1", "machine.workers=0", "machine.threads=1",
    "logger=disabled", "seed=1", "evaluation.memory_budget_mb=64",
)  # fmt: skip
WORDS = ("water", "house", "river", "stone", "bird", "light", "road", "salt")


def bitext(language: str, count: int = 40) -> str:
    """English <tab> translation; the translations are in the script of the language."""
    letters = {
        "ja": "水家", "zh": "水河", "ko": "물집", "ru": "вода", "ar": "ماء", "fa": "آب", "th": "น้ำ",
        "hi": "पानी", "mr": "पाणी", "bn": "জল", "te": "నీరు",
    }  # fmt: skip
    lines = []
    for number in range(count):
        english = f"{WORDS[number % 8]} {WORDS[number // 8]} beside {WORDS[(3 * number) % 8]}"
        word = letters.get(language, f"{language}{language}")
        third = f"{word}{word[: 1 + number % 2]}{word * (number // 6)}"
        lines.append(f"{english}\t{word} {word * (1 + number % 3)} {third}\n")
    return "".join(lines)


def run(folder: Path, home: Path, *arguments: str) -> str:
    """Run `optical-sweeps ...` in a subprocess and return its output."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("optical-sweeps")), *arguments],
        cwd=folder,
        env={**passed, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "IR_DATASETS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


def composed(experiment: str, *overrides: str):
    return compose("train", f"experiment={experiment}", *overrides, with_hydra=True)
