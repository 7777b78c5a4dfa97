"""Reranking, BM25 and PLAID, compared with their definitions or with exact search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora.words import words
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.measures import Measure, evaluate
from optical_sweeps.retrieval.lexical import LexicalIndex
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.rerank import rerank
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.trec_runs import RetrievalRun


def unit(lengths: list[int], dim: int, seed: int) -> RaggedEmbeddings:
    vectors = np.random.default_rng(seed).standard_normal((sum(lengths), dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return RaggedEmbeddings(vectors, np.cumsum([0, *lengths]).astype(np.int64))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_reranking_all_documents_equals_search(tmp_path, dtype):
    documents, queries = unit([5, 0, 7, 3, 9, 1] * 5, 16, 1), unit([4, 9, 1], 16, 2)
    ids = [f"d{number}" for number in range(len(documents))]
    index = TokenIndex.build(tmp_path, ids, [documents], dtype)
    everything = tuple(tuple(sorted(ids)) for _ in range(3))
    zeros = tuple(np.zeros(len(ids), np.float32) for _ in range(3))
    again = rerank(index, queries, RetrievalRun(("a", "b", "c"), everything, zeros), 12)
    exact = search(index, ["a", "b", "c"], queries, 12)
    assert again.documents == exact.documents
    for one, other in zip(again.scores, exact.scores, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_reranking_returns_only_documents_of_the_run(tmp_path):
    index = TokenIndex.build(tmp_path, ["a", "b", "c"], [unit([2, 2, 2], 8, 1)])
    one = np.zeros(1, np.float32)
    found = RetrievalRun(("q", "r"), (("c",), ()), (one, one[:0]))
    assert rerank(index, unit([3, 2], 8, 2), found, 5).documents == (("c",), ())
    with pytest.raises(ValueError, match="'z' is not in the index"):
        rerank(index, unit([3], 8, 2), RetrievalRun(("q",), (("z",),), (one,)), 5)
    with pytest.raises(ValueError, match="2 queries"):
        rerank(index, unit([3], 8, 2), found, 5)


TEXTS = ["a red house", "the red red car", "blue car", "Straße nach Köln", "東京都の天気", ""]


def bm25(query: str, text: str, k1: float, b: float) -> float:
    """Lucene's BM25 of one document."""
    cut = [words(each) or [""] for each in TEXTS]
    mean = sum(map(len, cut)) / len(cut)
    own, total = words(text) or [""], 0.0
    for word in words(query):
        holding = sum(word in other for other in cut)
        if holding:
            idf = np.log(1 + (len(cut) - holding + 0.5) / (holding + 0.5))
            count = own.count(word)
            total += idf * count / (count + k1 * (1 - b + b * len(own) / mean))
    return total


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(["red", "car", "house", "köln", "東京", "zebra"]), max_size=4).map(" ".join),
    st.sampled_from([(0.9, 0.4), (1.5, 0.75)]),
)
def test_bm25_follows_its_formula(query, parameters):
    pytest.importorskip("bm25s")
    ids = [f"d{number}" for number in range(len(TEXTS))]
    run = LexicalIndex(ids, TEXTS, *parameters).search(["q"], [query], 10)
    expected = {
        name: score for name, text in zip(ids, TEXTS, strict=True) if (score := bm25(query, text, *parameters))
    }
    found = dict(zip(run.documents[0], run.scores[0].tolist(), strict=True))
    assert found == pytest.approx(expected, rel=1e-4)


def test_scripts_without_spaces_are_split_into_character_pairs():
    assert words("東京都 is Tokyo, ไทย") == ["東京", "京都", "is", "tokyo", "ไท", "ทย"]
    assert words("都") == ["都"]


def test_a_missing_package_is_reported(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(UserError, match=r"pip install optical-sweeps\[lexical\]"):
        LexicalIndex(["a"], ["b"])


def test_plaid_agrees_with_the_exact_search(tmp_path):
    from optical_sweeps.retrieval.plaid import PlaidIndex, PlaidSettings, _fast_plaid, build_plaid

    try:
        _fast_plaid(tmp_path / "none")
    except UserError as error:
        pytest.skip(str(error))

    rng = np.random.default_rng(5)
    lengths = [0, *rng.integers(4, 12, 400).tolist()]
    documents = unit(lengths, 32, 6)
    ids = [f"d{number}" for number in range(len(lengths))]
    index = TokenIndex.build(tmp_path / "index", ids, [documents])
    relevant = rng.integers(1, 401, 40).tolist()
    noisy = [documents[n] + 0.1 * rng.standard_normal(documents[n].shape).astype(np.float32) for n in relevant]
    queries = RaggedEmbeddings(
        np.concatenate([rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in noisy]),
        np.cumsum([0, *map(len, noisy)]).astype(np.int64),
    )
    names = [f"q{number}" for number in range(40)]
    qrels = {name: {f"d{number}": 1} for name, number in zip(names, relevant, strict=True)}
    wanted = PlaidSettings(bits=4, sample=100)
    build_plaid(tmp_path, index, wanted)
    near = PlaidIndex(tmp_path, ids, wanted).search(names, queries, 20)
    exact = search(index, names, queries, 20)
    measure = Measure.parse("nDCG@10")
    values = [evaluate(run, qrels, [measure]).mean(measure) for run in (near, exact)]
    assert values[1] > 0.95
    assert abs(values[0] - values[1]) < 0.02
    again = rerank(index, queries, near, 5)
    assert again.documents[0][0] == exact.documents[0][0]


@pytest.mark.parametrize(
    ("version", "message"),
    [(None, "not installed"), ("1.1.0", "an unknown version"), ("1.7.0.990", "torch 9.9, but")],
)
def test_a_fast_plaid_for_another_torch_is_refused(tmp_path, monkeypatch, version, message):
    from optical_sweeps.retrieval import plaid

    def installed(name: str) -> str:
        if version is None:
            raise plaid.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(plaid.metadata, "version", installed)
    index = TokenIndex.build(tmp_path / "index", ["a"], [unit([3], 8, 1)])
    with pytest.raises(UserError, match=message):
        plaid.build_plaid(tmp_path, index, plaid.PlaidSettings())


def test_a_missing_plaid_index_is_reported(tmp_path):
    from optical_sweeps.retrieval.plaid import PlaidIndex, PlaidSettings

    with pytest.raises(UserError, match="not a complete PLAID index"):
        PlaidIndex(tmp_path, ["a"], PlaidSettings())
    with pytest.raises(UserError, match=r"plaid\.bits"):
        PlaidSettings(bits=3)
