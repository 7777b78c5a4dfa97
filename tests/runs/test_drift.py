"""Diagnostics of drift: their values for a teacher, for a collapsed student, and their samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.collections import Collection, Documents, Queries
from optical_sweeps.corpora.packed import PackedStrings
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.runs.distillation.drift import TEXTS, DriftProbe, mean_norm, relevant_english, spread
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from tests.support.small_files_study import files_run, write_files
from tests.support.training_study import CODED, WORDS, make_encoder


def probe(teacher):
    return DriftProbe(CODED, WORDS, teacher.encode(WORDS, "query"), "query")


def test_a_teacher_has_not_moved():
    teacher = make_encoder()
    measured = probe(teacher).measure(teacher)
    assert measured["drift/english_similarity"] == pytest.approx(1, abs=1e-5)
    assert 0 <= measured["drift/query_mean_norm"] <= 1


def test_a_student_with_one_vector_for_all_tokens_has_a_mean_of_length_1():
    import torch

    teacher = make_encoder()
    student = make_encoder()
    with torch.no_grad():
        student.backbone.get_input_embeddings().weight.zero_()
        for layer in student.backbone.modules():
            if isinstance(layer, torch.nn.LayerNorm):
                layer.weight.zero_()
                layer.bias.fill_(0.1)
    measured = probe(teacher).measure(student)
    assert measured["drift/english_mean_norm"] == pytest.approx(1, abs=1e-5)
    assert measured["drift/english_similarity"] < 0.99


def test_opposite_vectors_have_a_mean_of_length_0():
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    assert mean_norm(RaggedEmbeddings(vectors, np.array([0, 2]))) == 0


@given(st.integers(1, 10_000))
def test_samples_are_distinct_positions(size):
    rows = spread(size)
    assert len(rows) == min(size, TEXTS) == len(set(rows))
    assert 0 <= rows[0] <= rows[-1] < size


def collection(language: str, document_language: str = "en", **judged: dict[str, int]) -> Collection:
    documents = Documents(document_language, ("d1", "d2", "d3"), ("one", "two", "three"))
    queries = Queries.from_texts(language, {name: f"query {name}" for name in ("a", "b", "c")})
    return Collection("small", "dev", documents, queries, judged)


def test_english_texts_are_the_best_documents_of_the_queries():
    german = collection("de", a={"d1": 1, "d2": 2}, b={"d3": 0})
    french = collection("fr", b={"d3": 1}, c={"d2": 1})
    sample = [(german, 0), (german, 1), (german, 2), (french, 1), (french, 2)]
    assert relevant_english(sample) == ["two", "three"]
    assert relevant_english([(collection("de", "de", a={"d1": 1}), 0)]) == []


def test_a_zero_shot_run_reads_no_bitext_if_english_documents_are_judged(tmp_path, monkeypatch):
    write_files(tmp_path)
    spec = files_run(tmp_path, "objective=none").spec
    bitext = [spec.corpus.bitext(language) for language in spec.languages.all]
    spec.fingerprints()

    def refuse(*_: object) -> None:
        raise AssertionError("the bitext is read")

    for method in ("__getitem__", "__iter__"):
        monkeypatch.setattr(PackedStrings, method, refuse)
    builds = ArtifactBuilds.at(tmp_path / "artifacts")
    shared = SharedResources(make_encoder(), "teacher", {}, builds, "cpu", spec.index)
    probe = DriftProbe.of_run(spec, shared)
    assert list(probe.english) == ["a cat. a cat sat"]
    with pytest.raises(AssertionError, match="is read"):
        bitext[0].english[0]
