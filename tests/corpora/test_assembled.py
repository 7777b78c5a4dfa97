"""A corpus assembled from sources, through the real loaders."""

from pathlib import Path

import pytest

from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.builders.assembled import AssembledCorpus
from optical_sweeps.corpora.builders.ir_datasets_collections import IrDatasetsCollections
from optical_sweeps.corpora.builders.pair_sources import FilePairs, IrDatasetsPairs
from optical_sweeps.corpora.collections import Corpus
from tests.support.user_errors import failure


@pytest.fixture
def assembled(irds, tmp_path):
    """mMARCO's queries over MS MARCO's passages, with a TSV of bitext for each language."""
    own = {"cache": tmp_path / "cache", "complete": False}

    def assembled(text="one\tyksi\n", **settings):
        for language in ("de", "fr"):
            (tmp_path / f"{language}.tsv").write_text(text)
        collections = {
            "test": "mmarco/v2/{language}/dev/small",
            "documents": "msmarco-passage",
            "dev_fraction": 0.0,
        }
        parts = {
            "collections": IrDatasetsCollections(
                languages=["de", "fr"], **{**own, **collections, "dev": "mmarco/v2/{language}/train"}
            ),
            "bitexts": BitextSources(sources=[{"files": str(tmp_path / "{language}.tsv")}]),
            "teacher_pairs": IrDatasetsPairs(dataset="msmarco-passage/train/judged", **own),
        }
        return AssembledCorpus(**(parts | settings))

    return assembled


def test_everything_that_a_run_needs(assembled):
    corpus = assembled()
    assert isinstance(corpus, Corpus)
    assert (corpus.name, corpus.languages) == ("mmarco", ("de", "fr"))
    assert tuple(corpus.bitext("de").translations) == ("yksi",)
    assert corpus.bitext("de") is corpus.bitext("de")
    assert corpus.documents() is corpus.collection("fr", "test").documents
    pairs = {(pair.query, pair.document) for pair in corpus.relevant_pairs()}
    assert pairs == {("what is a passage", "A passage."), ("what else", "Another.")}
    assert corpus.bitext_reports()["de"].kept == 1
    assert "fr" not in corpus.bitext_reports()


def test_the_fingerprint_depends_on_each_part(assembled, tmp_path):
    before = assembled().fingerprint()
    assert assembled().fingerprint() == before
    (tmp_path / "pairs.tsv").write_text("q\td\n")
    changes = [
        {"text": "two\tkaksi\n"},
        {"teacher_pairs": FilePairs(tmp_path / "pairs.tsv")},
        {"teacher_pairs": None},
        {"bitexts": BitextSources()},
    ]
    assert len({before, *(assembled(**change).fingerprint() for change in changes)}) == 5


def test_a_smaller_set_of_teacher_pairs_is_part_of_a_larger_one(assembled, tmp_path):
    def pairs(**settings):
        own = {"cache": tmp_path / "cache", "complete": False, "dataset": "msmarco-passage/train/judged"}
        return [pair.query for pair in IrDatasetsPairs(**own, **settings).relevant_pairs()]

    assert pairs(limit=1) == pairs()[:1]
    assert len(pairs(limit=None)) == 2


def test_missing_parts_name_their_key(assembled, irds, tmp_path):
    corpus = assembled(bitexts=BitextSources(), teacher_pairs=None)
    assert failure(lambda: corpus.bitext("de")) == "data.bitexts.sources: none has bitext of 'de'; add one"
    assert failure(corpus.relevant_pairs).startswith("data.teacher_pairs: null, but a teacher")
    assert failure(lambda: corpus.bitext("xx")).startswith("data.collections.languages: 'xx'")
    assert failure(lambda: assembled(collections="miracl")).startswith(
        "data.collections: 'miracl' is not of type CollectionSource"
    )
    assert failure(lambda: FilePairs("none.tsv")).startswith(
        f"data.teacher_pairs.file: there is no file {Path.cwd()}/none.tsv"
    )
    assert failure(lambda: IrDatasetsPairs(dataset="ms")).startswith(
        "data.teacher_pairs.dataset: ms: ir_datasets has"
    )


def test_languages_with_different_documents(assembled, irds, tmp_path):
    collections = IrDatasetsCollections(
        languages=["sw", "bn"], test="miracl/{language}/dev", cache=tmp_path / "cache", complete=False
    )
    message = failure(assembled(collections=collections).documents)
    assert message.startswith("data.collections: miracl has other documents for each language")
