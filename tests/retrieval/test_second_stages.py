"""Reranking and BM25, compared with their definitions or with exact search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora.words import words
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.lexical import LexicalIndex
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.rerank import rerank
from optical_sweeps.retrieval.shards import Shard
from optical_sweeps.retrieval.token_index import TokenIndex


def unit(lengths: list[int], dim: int, seed: int) -> RaggedEmbeddings:
    vectors = np.random.default_rng(seed).standard_normal((sum(lengths), dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return RaggedEmbeddings(vectors, np.cumsum([0, *lengths]).astype(np.int64))


def ranked(index: TokenIndex, queries: RaggedEmbeddings, candidates, k: int):
    names = [f"q{number}" for number in range(len(queries))]
    return rerank(index, names, queries, lambda query: np.array(candidates[query], np.int64), k)


@settings(deadline=None, max_examples=20)
@given(st.data())
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_scores_of_candidates_equal_those_of_exact_search_to_the_last_bit(tmp_path_factory, dtype, data):
    """For any candidates in any order, among documents of equal, different and no tokens, in two shards."""
    draw = data.draw
    lengths = draw(st.lists(st.integers(0, 9), min_size=2, max_size=30))
    documents = unit(lengths, 16, draw(st.integers(0, 5)))
    copies = RaggedEmbeddings(  # ties: every document occurs twice
        np.concatenate([documents.vectors, documents.vectors]),
        np.concatenate([documents.offsets, documents.offsets[-1] + documents.offsets[1:]]),
    )
    ids = draw(st.permutations([f"d{number}" for number in range(2 * len(lengths))]))
    whole = TokenIndex.build(tmp_path_factory.mktemp("index"), ids, [copies], dtype)
    cut = draw(st.integers(1, len(ids) - 1))
    index = TokenIndex(whole.ids, whole.id_ranks, tuple(split_shard(whole.shards[0], cut)))
    queries = unit(draw(st.lists(st.integers(0, 20), min_size=1, max_size=3)), 16, 9)
    names = [f"q{number}" for number in range(len(queries))]
    exact = search(whole, names, queries, len(ids))
    score_of = [
        dict(zip(d, s.tolist(), strict=True)) for d, s in zip(exact.documents, exact.scores, strict=True)
    ]
    candidates = [draw(st.lists(st.sampled_from(range(len(ids))), unique=True)) for _ in names]
    k = draw(st.integers(1, len(ids)))
    again = ranked(index, queries, candidates, k)
    for query, chosen in enumerate(candidates):
        known = [(score_of[query][ids[n]], ids[n]) for n in chosen if ids[n] in score_of[query]]
        expected = sorted(known, key=lambda pair: (-pair[0], pair[1]))[:k]
        assert again.documents[query] == tuple(name for _, name in expected)
        assert again.scores[query].tolist() == [score for score, _ in expected]


def split_shard(shard: Shard, documents: int) -> list[Shard]:
    row = int(shard.offsets[documents])
    scales = (None, None) if shard.scales is None else (shard.scales[:row], shard.scales[row:])
    return [
        Shard(shard.vectors[:row], shard.offsets[: documents + 1], scales[0], shard.largest_norm),
        Shard(shard.vectors[row:], shard.offsets[documents:] - row, scales[1], shard.largest_norm),
    ]


def test_reranking_returns_only_candidates(tmp_path):
    index = TokenIndex.build(tmp_path, ["a", "b", "c"], [unit([2, 2, 2], 8, 1)])
    assert ranked(index, unit([3, 2], 8, 2), [[2], []], 5).documents == (("c",), ())
    with pytest.raises(ValueError, match="dimension 4"):
        ranked(index, unit([3], 4, 2), [[0]], 5)
    with pytest.raises(ValueError, match="k is 0"):
        ranked(index, unit([3], 8, 2), [[0]], 0)


def test_long_candidates_are_scored_in_several_products(tmp_path):
    """3 documents of 5,000 tokens do not fit into one product."""
    index = TokenIndex.build(tmp_path, ["a", "b", "c"], [unit([5000, 5000, 5000], 8, 1)], "int8")
    queries = unit([7], 8, 2)
    exact, again = search(index, ["q0"], queries, 3), ranked(index, queries, [[2, 0, 1]], 3)
    assert again.documents == exact.documents
    assert again.scores[0].tolist() == exact.scores[0].tolist()


def test_a_zero_query_token_and_documents_without_tokens_do_not_disturb_the_bounds(tmp_path):
    """0 times minus infinity is not a number."""
    documents, queries = unit([0, 3, 0, 5, 2, 4, 0, 6], 8, 1), unit([4], 8, 2)
    queries.vectors[1] = 0
    index = TokenIndex.build(tmp_path, [f"d{number}" for number in range(8)], [documents], "int8")
    exact, again = search(index, ["q0"], queries, 2), ranked(index, queries, [list(range(8))], 2)
    assert again.documents == exact.documents
    assert again.scores[0].tolist() == exact.scores[0].tolist()


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
