"""Encoders that go to PyLate and come from it score the same there and here.

PyLate asks for other versions of libraries than ours, so it lives in an environment of its own:
OPTICAL_SWEEPS_PYLATE names its interpreter. Without it the tests use the PyLate of this environment.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.colbert_formats.export_encoder import export
from optical_sweeps.encoders.colbert_formats.load_colbert import load_checkpoint
from optical_sweeps.encoders.colbert_formats.open_colbert import open_checkpoint
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder

QUERIES = ("red apple", "  wo ist der rote Apfel?", "a b c d e f g h i j k l m n o p q r s t u v w x y z")
DOCUMENTS = ("The red apple, it is red!", "der Fluss; der Hund", "¿dónde está la manzana roja?", "fox " * 60)

SCORES = """
import json, sys
from pylate import models
model = models.ColBERT(sys.argv[1], device="cpu")
queries, documents = json.loads(sys.argv[2])
of = {}
of["queries"] = [v.tolist() for v in model.encode(queries, is_query=True, show_progress_bar=False)]
of["documents"] = [v.tolist() for v in model.encode(documents, is_query=False, show_progress_bar=False)]
print("FOUND" + json.dumps(of))
"""

MAKE = """
import sys, torch
from pylate import models
torch.manual_seed(0)
backbone, folder, attends = sys.argv[1:]
model = models.ColBERT(backbone, device="cpu", embedding_size=12, query_length=20, document_length=50,
                       attend_to_expansion_tokens=attends == "True")
model.save_pretrained(folder)
"""


def _run(pylate: str, script: str, *arguments: str) -> str:
    settings = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [pylate, "-c", script, *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _maxsim(queries, documents) -> np.ndarray:
    return np.array([[(q @ d.T).max(1).sum() for d in documents] for q in queries])


def _scores_there(pylate: str, folder: Path) -> np.ndarray:
    out = _run(pylate, SCORES, str(folder), json.dumps([QUERIES, DOCUMENTS]))
    found = json.loads(out[out.index("FOUND") + 5 :])
    return _maxsim(*([np.array(vectors) for vectors in found[side]] for side in ("queries", "documents")))


def _scores_here(encoder: TokenEncoder) -> np.ndarray:
    queries, documents = encoder.encode(QUERIES, "query"), encoder.encode(DOCUMENTS, "document")
    return _maxsim(
        [queries[i].astype(np.float64) for i in range(len(queries))],
        [documents[i].astype(np.float64) for i in range(len(documents))],
    )


def _encoder(**settings: object) -> TokenEncoder:
    marked = {
        "query_prefix": "", "document_prefix": "", "query_marker": "[Q] ", "document_marker": "[D] ",
        "use_special_tokens": True, "use_prefix_tokens": True, "query_augmentation": True,
    }  # fmt: skip
    chosen = {"dim": 16, "query_length": 24, "document_length": 64, **marked, **settings}
    texts = [*QUERIES, *DOCUMENTS]
    return build_token_encoder(TokenEncoderSettings(**chosen), TinyBackbone(hidden_size=32), texts)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"skip_punctuation": False, "augmentation_attends": True},
        {"projection_bias": True, "query_length": 9, "document_length": 12},
        {"query_augmentation": False},
        {"query_marker": None, "document_marker": None, "skip_punctuation": False},
    ],
    ids=["punctuation left out", "kept, attending", "bias, short", "not augmented", "no markers"],
)
def test_an_export_scores_the_same_in_pylate(pylate, tmp_path, settings):
    encoder = _encoder(**settings)
    if encoder.projection.bias is not None:
        encoder.projection.bias.data.normal_()
    export(encoder, tmp_path / "out", "pylate")
    there, here = _scores_there(pylate, tmp_path / "out"), _scores_here(encoder)
    np.testing.assert_allclose(there, here, atol=1e-5, rtol=0)
    assert here.std() > 1e-2  # scores that could differ


@pytest.mark.parametrize("attends", [False, True])
def test_a_pylate_folder_goes_round(pylate, tmp_path, attends):
    """PyLate's own folder -> our teacher -> our export -> PyLate."""
    export(_encoder(), tmp_path / "backbone", "huggingface")
    config = json.loads((tmp_path / "backbone" / "config.json").read_text())
    config["architectures"] = ["BertModel"]  # a plain backbone, to which PyLate adds its markers and projection
    (tmp_path / "backbone" / "config.json").write_text(json.dumps(config))
    _run(pylate, MAKE, str(tmp_path / "backbone"), str(tmp_path / "theirs"), str(attends))
    teacher = ColbertTeacher(str(tmp_path / "theirs"))
    encoder = teacher.load()
    assert (encoder.settings.dim, encoder.settings.query_length, encoder.settings.document_length) == (
        12,
        20,
        50,
    )
    assert encoder.settings.augmentation_attends is attends
    there = _scores_there(pylate, tmp_path / "theirs")
    np.testing.assert_allclose(_scores_here(encoder), there, atol=1e-5, rtol=0)
    export(encoder, tmp_path / "again", "pylate")
    np.testing.assert_allclose(_scores_there(pylate, tmp_path / "again"), there, atol=1e-5, rtol=0)
    assert fingerprint(load_checkpoint(open_checkpoint(tmp_path / "theirs"))) == fingerprint(encoder)
