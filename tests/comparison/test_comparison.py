"""Baselines of a comparison on a small collection of files: human titles, and translate-test."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from optical_sweeps.comparison.systems_comparison import compare
from optical_sweeps.corpora.builders.files import FilesCorpus
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.trec_runs import read_run
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.spec.human_queries import human_queries
from tests.support.configs import compose
from tests.support.translation_models import make_nllb

TITLES = [
    "red house",
    "blue car",
    "the car is red",
    "a blue whale",
    "small green tree",
    "yellow sun",
    "old man",
]
FINNISH = ["punainen talo", "sininen auto", "auto on punainen", "sinivalas"]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Seven documents with title and text; two dev and two test queries are translations of titles."""
    folder = tmp_path_factory.mktemp("files")
    documents = [f"d{n}\t{title}\tAbout {title} and other things" for n, title in enumerate(TITLES)]
    (folder / "docs.tsv").write_text("\n".join(documents) + "\n")
    (folder / "fi").mkdir()
    pairs = zip(TITLES, FINNISH, strict=False)
    (folder / "fi/bitext.tsv").write_text("".join(f"{english}\t{own}\n" for english, own in pairs))
    for split, first in (("dev", 0), ("test", 2)):
        numbers = (first, first + 1)
        (folder / f"fi/queries.{split}.tsv").write_text("".join(f"q{n}\t{FINNISH[n]}\n" for n in numbers))
        (folder / f"fi/qrels.{split}.txt").write_text("".join(f"q{n} 0 d{n} 1\n" for n in numbers))
    return folder


FILES = {"documents_file": "docs.tsv", "bitext_file": "{language}/bitext.tsv"}


def composed(root: Path, *more: str) -> tuple[dict[str, Any], list[str]]:
    """A comparison's config, and the overrides that made it."""
    overrides = [
        "data=files", f"data.root={root}", "data.languages=[fi]", "data.documents_file=docs.tsv",
        "data.bitext_file='{language}/bitext.tsv'", "languages.high=[fi]", "languages.low=[]",
        "backbone=tiny", "backbone.layers=1", "backbone.hidden_size=32", "backbone.vocabulary_size=200",
        "encoder.dim=16", "teacher.training.epochs=1", "mixture.total=2", "mixture.ratio=0", "logger=disabled",
        "machine.threads=1", *more,
    ]  # fmt: skip
    return resolved(compose("compare", *overrides)), overrides


def test_titles_of_relevant_documents_are_the_english_of_their_translations(root):
    corpus = FilesCorpus(root=root, languages=("fi",), **FILES)
    assert human_queries(corpus, "fi", "test", "titles") == ("the car is red", "a blue whale")


def test_files_of_english_queries(root, tmp_path):
    corpus = FilesCorpus(root=root, languages=("fi",), **FILES)
    file = tmp_path / "fi.tsv"
    file.write_text("q3\twhale\nq2\tred car\nq9\tunasked\n")
    assert human_queries(corpus, "fi", "test", str(tmp_path / "{language}.tsv")) == ("red car", "whale")
    file.write_text("q3\twhale\n")
    with pytest.raises(UserError, match="human_queries: 1 of 2 queries of fi have no English, such as q2"):
        human_queries(corpus, "fi", "test", str(tmp_path / "{language}.tsv"))
    with pytest.raises(UserError, match=r"human_queries: .* has no \{language\}"):
        human_queries(corpus, "fi", "test", str(file))


def test_translations_are_made_once_and_searched_by_both(root, tmp_path, monkeypatch):
    from optical_sweeps.retrieval import translator

    make_nllb(tmp_path / "nllb")
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []
    plain = translator.Translator.translate

    def counted(self, texts, language, *others):
        asked.append(language)
        return [f"{text} whale" for text in plain(self, texts, language, *others)]

    monkeypatch.setattr(translator.Translator, "translate", counted)
    settings, overrides = composed(
        root, "systems=[teacher_machine,bm25_machine,bm25_human]", "human_queries=titles", "translator=nllb",
        "translator.name=nllb", "translator.max_tokens=8",
    )  # fmt: skip
    for _ in range(2):
        output = compare(settings, overrides, None)
    assert asked == ["fi"]
    assert "| nDCG@10 | bm25\\_human | 100.0 | 100.0 |" in (output / "systems.md").read_text()
    files = (tmp_path / "artifacts/system").glob("*/runs/test.fi.trec.gz")
    runs = [read_run(path) for path in sorted(files)]
    assert len(runs) == 3
    assert sum(all("d3" in found for found in run.documents) for run in runs) >= 2  # the word that was put in


def test_english_is_not_searched_for_in_documents_of_other_languages(root, tmp_path, monkeypatch):
    from optical_sweeps.corpora.builders import files

    monkeypatch.setattr(files, "ENGLISH", "fi")
    monkeypatch.chdir(tmp_path)
    finnish = shutil.copytree(root, tmp_path / "finnish")
    with pytest.raises(UserError, match="psq searches with English, but fi's documents are in fi"):
        compare(*composed(finnish, "systems=[bm25_untranslated,psq]"), None)
    assert not (tmp_path / "multirun").exists()
    output = compare(*composed(finnish, "systems=[bm25_untranslated]"), None)
    assert "untranslated" in (output / "systems.md").read_text()
