"""The teacher of a study: loaded from a checkpoint, trained with mined negatives, exported."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from optical_sweeps.commands import export as export_command
from optical_sweeps.console import no_progress
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.colbert_formats.export_encoder import export
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.saved_encoders import fingerprint, load_encoder
from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.errors import UserError
from optical_sweeps.runs.shared.hard_negatives import mined_rows
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.shared.trained_teacher import teacher_folder
from optical_sweeps.runs.shared.vocabulary_texts import VocabularyTexts
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.teacher_settings import NegativeMining
from tests.support.configs import compose

STUDY = """
data=synthetic languages=synthetic backbone=tiny objective=optical logger=disabled sweep.name=small
data.lexicon_size=120 data.topics=40 data.documents_per_topic=2
languages.high=[near] languages.low=[distant]
++data.daughters.near.pairs=40 ++data.daughters.distant.pairs=40
backbone.layers=1 backbone.hidden_size=32 backbone.vocabulary_size=500
teacher.training.epochs=1 teacher.training.batch_size=8
mixture.total=40 mixture.ratio=0.5 machine.threads=1
"""


@pytest.fixture
def composed(tmp_path):
    def make(*overrides: str, root: str = "train"):
        own = [f"paths.artifacts={tmp_path}/artifacts"] if root == "train" else []
        return compose(root, *overrides, *own)

    return make


@pytest.fixture
def spec_of(composed):
    """Builds the spec of the small study; its teacher is trained unless `teacher=colbert` is an override."""

    def make(*overrides: str) -> RunSpec:
        loaded = "teacher=colbert" in overrides
        study = [value for value in STUDY.split() if not (loaded and value.startswith("teacher."))]
        return RunSpec.from_config(composed(*study, *([] if loaded else ["encoder.dim=16"]), *overrides))

    return make


def built(spec: RunSpec) -> tuple[Path, dict[str, float]]:
    builds = ArtifactBuilds.at(spec.artifacts)
    return teacher_folder(spec, builds, VocabularyTexts(spec)), builds.seconds


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A ColBERT in PyLate's layout."""
    folder = tmp_path_factory.mktemp("checkpoint") / "colbert"
    settings = TokenEncoderSettings(
        dim=8, query_prefix="", document_prefix="", query_marker="[Q] ", document_marker="[D] ",
        query_length=20, document_length=60, use_special_tokens=True, use_prefix_tokens=True,
        query_augmentation=True,
    )  # fmt: skip
    texts = ["aeiou bcdfg hjklm npqrs tvwxyz", "zyxwv utsrq ponml kjihg fedcba"]
    export(build_token_encoder(settings, TinyBackbone(layers=1, hidden_size=32), texts), folder, "pylate")
    return folder


def test_a_loaded_teacher_is_built_once_and_named_by_content(spec_of, checkpoint, tmp_path):
    spec = spec_of("teacher=colbert", f"teacher.path={checkpoint}")
    spec.check()
    folder, seconds = built(spec)
    assert set(seconds) == {"teacher"}
    assert load_encoder(folder / "encoder").settings.query_length == 20
    moved = tmp_path / "elsewhere"
    moved.symlink_to(checkpoint)
    again = spec_of("teacher=colbert", f"teacher.path={moved}")
    assert again.id == spec.id
    assert built(again) == (folder, {})
    other = tmp_path / "other"
    export(load_encoder(folder / "encoder"), other, "huggingface")
    assert spec_of("teacher=colbert", f"teacher.path={other}").id != spec.id


def test_a_loaded_teacher_needs_no_backbone(spec_of, checkpoint):
    one = spec_of("teacher=colbert", f"teacher.path={checkpoint}")
    other = spec_of("teacher=colbert", f"teacher.path={checkpoint}", "backbone.hidden_size=64")
    assert one.id == other.id
    begun = spec_of("teacher=colbert", f"teacher.path={checkpoint}", "student=backbone")
    assert begun.backbone_fingerprint != "none"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["encoder.dim=16"],
            r"encoder\.dim: 16, but the teacher \(teacher\.path=.*\) has 8; set encoder=check",
        ),
        (["encoder=e5"], r"encoder\.dim: 128, but the teacher .* has 8"),
        (["encoder.query_length=32"], r"encoder\.query_length: 32, but .* has 20"),
        (["training.freeze_layers=2"], r"training\.freeze_layers: 2, but backbone\.layers is 1"),
        (["student.drop_layers=[2]"], r"student\.drop_layers"),
    ],
)
def test_a_contradiction_is_refused_before_any_work(spec_of, checkpoint, overrides, told):
    with pytest.raises(UserError, match=told) as error:
        spec_of("teacher=colbert", f"teacher.path={checkpoint}", *overrides).check()
    assert "\n" not in str(error.value)


def test_encoder_settings_of_a_checkpoint_need_a_checkpoint(spec_of):
    with pytest.raises(UserError, match=r"encoder: checkpoint takes its settings from the teacher's folder"):
        spec_of("encoder=checkpoint").check()


@pytest.mark.parametrize("miner", ["bm25", "checkpoint"])
def test_a_teacher_on_mined_negatives(spec_of, miner):
    if miner == "bm25":
        pytest.importorskip("bm25s", reason="bm25s is not installed (extra: lexical)")
    spec = spec_of(f"teacher.negatives={miner}", "teacher.loss=both", "teacher.mining.depth=5")
    folder, seconds = built(spec)
    assert {"teacher", "negatives"} <= set(seconds)
    assert built(spec) == (folder, {})
    plain, seconds = built(spec_of())
    assert plain != folder
    # the teacher that mined is the one of the plain study
    assert bool(seconds) is (miner == "bm25")
    again = load_encoder(folder / "encoder")
    assert fingerprint(again) != fingerprint(load_encoder(plain / "encoder"))
    assert all(torch.isfinite(value).all() for value in again.state_dict().values())
    assert not list(folder.parent.glob(".*.resume/*.safetensors"))


def test_a_teacher_on_triples_of_a_file(spec_of, tmp_path):
    spec = spec_of()
    pairs = spec.corpus.relevant_pairs()
    others = [*pairs[1:], pairs[0]]
    lines = (f"{p.query}\t{p.document}\t{n.document}\n" for p, n in zip(pairs, others, strict=True))
    (tmp_path / "triples.tsv").write_text("".join(lines))
    on = ("teacher=triples", f"teacher.triples.path={tmp_path}/triples.tsv", "teacher.triples.limit=12")
    spec = spec_of(*on)
    folder, seconds = built(spec)
    assert set(seconds) == {"teacher"}
    assert built(spec_of(*on)) == (folder, {})
    assert spec_of(*on).id == spec.id
    (tmp_path / "copy.tsv").write_bytes((tmp_path / "triples.tsv").read_bytes())
    moved = spec_of(*(value.replace("triples.tsv", "copy.tsv") for value in on))
    assert moved.id == spec.id
    assert spec_of(*on, "teacher.triples.limit=13").id != spec.id
    # the content counts beside the settings, not in their place
    for setting in ("teacher.temperature=0.1", "teacher.loss=both", "teacher.training.epochs=2"):
        assert spec_of(*on, setting).id != spec.id


# ------------------------------------------------------------------------------------------------- mining

DOCUMENTS = tuple(f"document {number}" for number in range(20))
ROWS = np.array([[0, 0], [0, 1], [1, 2], [2, 3]], np.int32)
TRIPLES = Triples(("a", "b", "c"), DOCUMENTS, ROWS)
POOL = np.arange(20)


def found(texts):
    """The whole pool in order; nothing for the query c."""
    return [np.empty(0, np.int64) if text == "c" else np.arange(20) for text in texts]


def mined(**settings) -> np.ndarray:
    return mined_rows(TRIPLES, POOL, found, NegativeMining(**settings), no_progress)


def test_known_relevant_documents_are_no_negatives():
    rows = mined(depth=3, per_query=2)
    assert (rows[:, :2] == ROWS).all()
    for row in rows[:2]:  # both documents of the query a are relevant to it
        assert set(row[2:]) < {2, 3, 4}
    assert set(rows[2, 2:]) < {0, 1, 3}


def test_skip_excludes_the_best_documents():
    assert set(mined(depth=3, skip=2)[:2, 2]) == {4}


def test_a_query_without_results_draws_from_the_pool():
    rows = mined(per_query=3)
    assert 3 not in rows[3, 2:]
    assert len(set(rows[3, 2:])) == 3


def test_skipped_documents_are_used_last():
    mining = NegativeMining(depth=4, skip=2, per_query=2)
    few = mined_rows(TRIPLES, POOL, lambda texts: [np.arange(5) for _ in texts], mining, no_progress)
    assert 4 in few[0, 2:]  # of 2, 3, 4 that are not relevant to the query a
    assert not {0, 1, 2, 3} & set(few[0, 2:])


def test_a_query_to_which_every_document_is_relevant_is_named():
    alone = Triples(("a",), ("one",), np.array([[0, 0]], np.int32))
    with pytest.raises(UserError, match=r"teacher\.negatives: every document is relevant to the query 'a'"):
        mined_rows(alone, np.arange(1), lambda texts: [np.arange(1)], NegativeMining(depth=1), no_progress)


def test_the_seed_determines_the_draw():
    assert (mined(per_query=4) == mined(per_query=4)).all()
    assert (mined(per_query=4) != mined(per_query=4, seed=1)).any()


# ------------------------------------------------------------------------------------------------- export


def test_export_of_a_store_entry_and_of_a_foreign_folder(composed, spec_of, checkpoint, tmp_path, capsys):
    folder, _ = built(spec_of("teacher=colbert", f"teacher.path={checkpoint}"))
    for source, name in ((folder, "one"), (checkpoint, "other")):
        to = tmp_path / name
        config = composed(f"checkpoint={source}", f"to={to}", "format=pylate", root="export")
        export_command.run(config, None)
        assert re.search(rf"{name}: pylate, 8 dimensions", capsys.readouterr().out)
        dense = json.loads((to / "1_Dense" / "config.json").read_text())
        assert (dense["in_features"], dense["out_features"]) == (32, 8)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([], "give a run's folder"),
        (["checkpoint=nowhere"], "checkpoint: there is no folder /.*/nowhere"),
        (["checkpoint=nowhere", "format=onnx"], "format: 'onnx' is not one of huggingface, pylate"),
    ],
)
def test_export_refuses_with_one_line(composed, tmp_path, overrides, told):
    with pytest.raises(UserError, match=told):
        export_command.run(composed(*overrides, f"to={tmp_path}/out", root="export"), None)


def test_a_run_with_a_loaded_teacher_and_its_student_exported(checkpoint, tmp_path):
    """On the command line: train, then export student and teacher to PyLate's layout."""
    program = str(Path(sys.executable).with_name("optical-sweeps"))
    study = [value for value in STUDY.split() if not value.startswith("teacher.")]

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = call("train", *study, "teacher=colbert", f"teacher.path={checkpoint}")
    assert re.search(rf"teacher: built from the checkpoint {checkpoint} in \d", told)
    (record,) = tmp_path.glob("multirun/small/*/record.json")
    call("export", str(record.parent), "to=student", "format=pylate", "machine.threads=1")
    call("export", str(record.parent), "to=teacher", "part=teacher", "format=pylate", "machine.threads=1")
    student, teacher = (ColbertTeacher(str(tmp_path / part)).load() for part in ("student", "teacher"))
    original = ColbertTeacher(str(checkpoint)).load()
    text = ["aeiou tvwxyz"]
    assert (teacher.encode(text, "query").vectors == original.encode(text, "query").vectors).all()
    assert (student.encode(text, "query").vectors != original.encode(text, "query").vectors).any()
    assert student.settings == original.settings
