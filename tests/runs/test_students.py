"""Runs whose student encodes documents, has adapters, or learns from mined documents."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optical_sweeps.commands import evaluate, inspect
from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.errors import UserError
from optical_sweeps.runs.distillation.drift import TEXTS, DriftProbe
from optical_sweeps.runs.distillation.query_encoders import load_encoders
from optical_sweeps.runs.distillation.retrieval_run import RetrievalRun
from optical_sweeps.runs.distillation.student_setup import drawn_bitext
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.shared.mined_documents import mine
from optical_sweeps.runs.shared.prepare import prepare
from optical_sweeps.runs.spec.run_spec import RunSpec
from tests.support.configs import compose

STUDY = """
data=synthetic languages=synthetic backbone=tiny logger=disabled sweep.name=small
data.lexicon_size=120 data.topics=40 data.documents_per_topic=2
languages.high=[near] languages.low=[fusing,distant]
++data.daughters.near.pairs=80 ++data.daughters.fusing.pairs=80 ++data.daughters.distant.pairs=80
backbone.layers=1 backbone.hidden_size=32 backbone.vocabulary_size=500 encoder.dim=16
teacher.training.epochs=2 teacher.training.learning_rate=1e-3
training.batch_size=8 training.learning_rate=3e-3 training.log_every=1 training.epochs=2
mixture.total=80 mixture.ratio=0.5 machine.threads=1 machine.accelerator=cpu
"""
RUNS = {
    "plain": (),
    "document": ("student.side=document", "training.validate_every=6"),
    "both": ("student.side=both", "objective=mse", "objective.english_weight=1", "training.keep=best",
             "training.validate_every=6"),
    "lora": ("student=lora", "mixture.ratio=1", "training.learning_rate=1e-2", "training.epochs=4"),
    "untrained lora": ("student=lora", "objective=none"),
    "mined": ("objective=score_kl", "objective.documents=both", "training.mined_documents=3"),
    "transport scores": ("objective=contrastive_ot", "training.epochs=1"),
    "buckets": ("training.batch_tokens=64", "machine.workers=1"),
}  # fmt: skip


def spec_of(*overrides: str) -> RunSpec:
    return RunSpec.from_config(compose("train", *STUDY.split(), *overrides))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(autouse=True)
def there(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)


def done(name: str) -> tuple[RunSpec, Path, dict[str, Any]]:
    spec = spec_of(*RUNS[name])
    run = RunFolder(spec.folder)
    RetrievalRun(spec.config).perform(run)
    return spec, run.path, run.record()


@pytest.mark.parametrize("name", [name for name in RUNS if name != "untrained lora"])
def test_a_run_ends_with_measures_of_every_language(name):
    spec, path, record = done(name)
    for split in ("dev", "test"):
        assert set(record["measures"][split]["nDCG@10"]) >= {
            "near",
            "fusing",
            "distant",
            "group:low",
            "group:all",
        }
    assert sorted(file.name for file in (path / "runs").iterdir()) == sorted(
        f"{split}.{language}.trec.gz" for split in ("dev", "test") for language in spec.languages.all
    )
    assert not (path / "indexes").exists(), "the student's index is removed at the end"
    losses = [row["train/loss"] for row in rows_of(path) if "train/loss" in row]
    assert len(losses) == record["training"]["steps"]
    assert np.mean(losses[-3:]) < np.mean(losses[:3]), "the student learns"


@pytest.mark.parametrize("name", ["document", "both", "lora", "untrained lora"])
def test_evaluate_repeats_the_rankings_of_the_run(name, capsys):
    _, path, record = done(name)
    config = compose("evaluate", "output=again", "machine.threads=1")
    evaluate.run(config, path)
    for file in Path("again/runs").iterdir():
        assert file.read_bytes() == (path / "runs" / file.name).read_bytes()
    assert "group:low" in capsys.readouterr().out
    assert record["measures"]["test"]


def test_the_teacher_encodes_the_side_that_was_not_trained():
    teacher = prepare(spec_of()).teacher
    weights = fingerprint(teacher)
    for name, sides in {"plain": (False, True), "document": (True, False), "both": (False, False)}.items():
        _, path, _ = done(name)
        encoders = loaded(path)
        found = fingerprint(encoders.queries) == weights, fingerprint(encoders.documents) == weights
        assert found == sides, name


def test_inspect_shows_the_student_of_the_run_on_any_data():
    """The run's corpus and the same corpus given as data show the same student, solver and report."""
    _, path, _ = done("document")
    own_data = [word for word in STUDY.split() if word.lstrip("+").startswith("data")]
    for name, more in (("own", ()), ("named", own_data)):
        asked = ["language=near", "row=0", "report=true", "pairs=20", f"output={name}"]
        config = compose("inspect", *asked, "machine.threads=1", *more)
        inspect.run(config, path)
    for file in ("near-0.plan.json", "encoder.csv"):
        assert Path("own", file).read_text() == Path("named", file).read_text()
    rows = Path("own/encoder.csv").read_text().splitlines()[1:]
    names = ["teacher, near queries", "student, en documents", "teacher, en documents"]
    assert [row.split('"')[1] for row in rows] == names
    assert len({row.split('"')[2] for row in rows}) == 3


def test_drift_is_measured_on_english_dev_documents_and_every_plan_is_logged():
    spec, _, record = done("transport scores")
    assert 0 < record["drift"]["plan_relative_entropy"] < 1
    probe = DriftProbe.of_run(spec, prepare(spec))
    trained_on = {text for language in spec.languages.all for text in spec.corpus.bitext(language).english}
    assert 0 < len(probe.english) <= TEXTS
    assert set(probe.english) <= set(spec.corpus.documents().texts) - trained_on


def test_documents_are_mined_once_and_are_the_best_of_the_teacher():
    spec, _, _ = done("mined")
    shared = prepare(spec)
    drawn = drawn_bitext(spec, shared)
    by_language = mine(spec, shared, drawn)
    assert "mined" not in shared.builds.seconds
    mined = by_language["near"]
    assert mined is by_language["distant"], "they share documents"
    vectors = shared.english_vectors(drawn.english, "query")
    assert not shared.builds.seconds.keys() & {"english", "mined"}
    documents = spec.corpus.collection("near", "test").documents
    index = shared.index_of(documents)
    row = int(mined.rows[7])
    scores = [(vectors[row] @ index.vectors_of(number).T).max(1).sum() for number in range(len(documents))]
    best = mined.documents(np.array([row]))[0]
    assert len(best) == 3
    np.testing.assert_allclose(
        sorted((scores[number] for number in best), reverse=True), sorted(scores)[:-4:-1], rtol=1e-5
    )


def test_runs_that_start_from_one_student_have_equal_scores_at_the_start():
    first = []
    best = ("training.keep=best", "training.validate_every=6")
    for spec in (spec_of("objective=none"), *(spec_of(f"seed={seed}", *best) for seed in (7, 8))):
        RetrievalRun(spec.config).perform(RunFolder(spec.folder))
        first.append({k: v for k, v in rows_of(spec.folder)[0].items() if k.startswith("dev/")})
    assert first[0] == first[1] == first[2] != {}
    kept = RunFolder(spec.folder).record()["measures"]["dev"]["nDCG@10"]["group:all"]
    assert kept == max(row.get("dev/nDCG@10/group:all", 0) for row in rows_of(spec.folder))


def test_runs_share_the_tokenised_bitext():
    records = [done(name)[2] for name in ("plain", "lora", "mined", "buckets")]
    built = ["tokens" in record["shared"]["built"] for record in records]
    assert built == [True, True, False, False]  # with another ratio, `lora` draws other sentences


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("student.side=both", "objective=score_kl", "objective.documents=mined"),
            "student.side: query and doc",
        ),
        (("student.side=both", "objective=contrastive", "objective.queue=8"), "student.side: both"),
        (("training.batch_tokens=10",), "training.batch_tokens: 10, but one sentence may have 32"),
        (("training.batch_tokens=0",), "training.batch_tokens: 0"),
    ],
)
def test_a_contradiction_is_one_line(overrides, message):
    with pytest.raises(UserError, match=message) as error:
        spec_of(*overrides).check()
    assert "\n" not in str(error.value)


def loaded(path: Path) -> Any:
    from optical_sweeps.runs.resolved_config import resolved

    return load_encoders({**resolved(compose("evaluate", "machine.threads=1")), "run": path})


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
