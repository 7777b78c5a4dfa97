"""The examples run, each in a copy of its folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.colbert_formats.export_encoder import export
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = Path(sys.executable).parent
SMALL = (
    "backbone=tiny",
    "training.epochs=1",
    "training.freeze_layers=0",
    "teacher.training.epochs=1",
    "seed=1",
)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


def _run(command: list[str], folder: Path, **environment: str) -> str:
    offline = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HF_HUB_OFFLINE": "1"}
    path = {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **offline, **path, **environment}, capture_output=True,
        text=True, encoding="utf-8", timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_words_are_aligned_by_transport_alone(copies):
    out = _run([sys.executable, "align.py"], copies / "transport_alone")
    exact = out.partition("exact: ")[2].partition("entropic: ")[0]
    pairs = ("museum - museo", "presents - presenta", "modern - moderna", "music - musica", "in - in",
             "september - settembre")  # fmt: skip
    assert all(pair in exact for pair in pairs)


@pytest.mark.parametrize("script", ["from_csv.py", "from_trec.py"])
def test_scores_of_other_programs_give_curves_and_claims(copies, script):
    folder = copies / "other_scores"
    out = _run([sys.executable, script], folder)
    assert "ours - theirs" in out
    assert (folder / "figures" / "groups-column.pdf").stat().st_size > 1_000


def test_own_bitext_from_plan_to_page(copies):
    folder = copies / "own_bitext"
    grid = ("objective=optical,none", "mixture.ratio=0,1")
    out = _run(["bash", "run.sh", *SMALL, *grid], folder)
    assert "3 done in multirun/own_bitext" in out
    assert (folder / "multirun" / "own_bitext" / "curves" / "groups-page.png").exists()
    assert (folder / "multirun" / "own_bitext" / "report.html").stat().st_size > 100_000


def test_a_pylate_model_is_distilled_and_its_student_searches_in_pylate(copies, pylate, tmp_path):
    texts = [line for path in (copies / "own_bitext").rglob("*.tsv") for line in path.read_text().splitlines()]
    marked = TokenEncoderSettings(dim=16, query_prefix="", document_prefix="")
    export(
        build_token_encoder(marked, TinyBackbone(hidden_size=32), texts), tmp_path / "backbone", "huggingface"
    )
    config = tmp_path / "backbone" / "config.json"
    # a plain backbone, to which PyLate adds its markers and projection
    config.write_text(json.dumps({**json.loads(config.read_text()), "architectures": ["BertModel"]}))
    folder = copies / "distil_pylate"
    quiet = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    _run([pylate, "make_model.py", str(tmp_path / "backbone"), str(tmp_path / "model")], folder, **quiet)
    small = [setting for setting in SMALL if not setting.startswith(("backbone", "teacher"))]
    out = _run(["bash", "run.sh", str(tmp_path / "model"), *small], folder, PYLATE=pylate, **quiet)
    assert out.count("nDCG@10 0.") + out.count("nDCG@10 1.") >= 2
