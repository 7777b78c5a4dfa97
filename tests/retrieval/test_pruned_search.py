"""Centroids, inverted lists and pruned search, compared with their definitions and with exact search."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval import pruned_index
from optical_sweeps.retrieval.build_index import build_index
from optical_sweeps.retrieval.centroids import Centroids
from optical_sweeps.retrieval.index_settings import IndexSettings
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.pruned_index import PrunedIndex, build_pruned, default_centroids
from optical_sweeps.retrieval.pruned_search import search_pruned
from optical_sweeps.retrieval.pruning_kernels import add_gains, add_nearest, inverted, most_promising
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.retrieval.token_index import TokenIndex

ALL = 10**6


def clustered(lengths: list[int], seed: int, dim: int = 16) -> RaggedEmbeddings:
    """Unit vectors around 40 directions, as token vectors are."""
    generator = np.random.default_rng(seed)
    means = np.random.default_rng(0).standard_normal((40, dim))
    vectors = means[generator.integers(0, 40, sum(lengths))] + 0.3 * generator.standard_normal(
        (sum(lengths), dim)
    )
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return RaggedEmbeddings(vectors, np.cumsum([0, *lengths]).astype(np.int64))


def names(count: int, letter: str = "d") -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


@pytest.fixture(scope="module", params=["float32", "int8"])
def index(request, tmp_path_factory) -> TokenIndex:
    """600 documents, some without tokens, every one twice, so that scores tie."""
    documents = clustered([*[0, 7, 12, 3, 9] * 60], 1)
    twice = RaggedEmbeddings(
        np.concatenate([documents.vectors] * 2),
        np.concatenate([documents.offsets, documents.offsets[-1] + documents.offsets[1:]]),
    )
    return TokenIndex.build(tmp_path_factory.mktemp("index"), names(600), [twice], request.param)


def test_all_lists_and_candidates_give_the_exact_search(index, tmp_path):
    pruned = build_pruned(tmp_path, index, PrunedSearch(centroids=50))
    queries = clustered([5, 0, 1, 20, 33], 2)
    for k in (1, 10, 700):
        exact = search(index, names(5, "q"), queries, k)
        again = search_pruned(pruned, names(5, "q"), queries, k, ALL, ALL)
        assert again.documents == exact.documents
        assert [s.tolist() for s in again.scores] == [s.tolist() for s in exact.scores]


def test_most_of_the_best_documents_are_found_with_exact_scores(index, tmp_path):
    pruned = build_pruned(tmp_path, index, PrunedSearch(centroids=50))
    queries = clustered([12] * 20, 3)
    exact = search(index, names(20, "q"), queries, 600)
    again = search_pruned(pruned, names(20, "q"), queries, 10, 3, 60)
    kept = [len(set(a) & set(b[:10])) / 10 for a, b in zip(again.documents, exact.documents, strict=True)]
    assert np.mean(kept) > 0.8
    for query in range(20):
        score_of = dict(zip(exact.documents[query], exact.scores[query].tolist(), strict=True))
        assert again.scores[query].tolist() == [score_of[name] for name in again.documents[query]]


def test_floats_choose_nearly_the_same_candidates_as_whole_numbers(index, tmp_path, monkeypatch):
    build_pruned(tmp_path, index, PrunedSearch(centroids=50))
    queries = clustered([12] * 10, 4)
    runs = []
    for exact in (True, False):
        monkeypatch.setattr(pruned_index, "int8_product_is_exact", lambda exact=exact: exact)
        pruned = PrunedIndex.load(tmp_path, index)
        assert (pruned._codes is not None) == exact
        runs.append(search_pruned(pruned, names(10, "q"), queries, 10, 4, 100))
    same = [len(set(a) & set(b)) for a, b in zip(runs[0].documents, runs[1].documents, strict=True)]
    assert np.mean(same) > 9


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 6), max_size=5), max_size=8))
def test_inverted_lists_name_each_document_of_a_centroid_once(tokens):
    offsets = np.cumsum([0, *map(len, tokens)]).astype(np.int64)
    codes = np.array([code for row in tokens for code in row], np.int64)
    list_offsets, documents = np.zeros(8, np.int64), np.empty(len(codes), np.int32)
    count = inverted(codes, offsets, list_offsets, documents)
    lists = [documents[list_offsets[c] : list_offsets[c + 1]].tolist() for c in range(7)]
    assert lists == [[d for d, row in enumerate(tokens) if c in row] for c in range(7)]
    assert count == sum(map(len, lists))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 70), st.integers(1, 40), st.integers(1, 70), st.integers(0, 9))
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_the_nearest_centroids_are_those_of_a_sort_for_any_block_size(
    dtype, tokens, centroids, count, block, seed
):
    count = min(count, centroids)
    similarities = np.random.default_rng(seed).integers(0, 8, (tokens, centroids)).astype(dtype)  # with ties
    values, numbers = np.full((tokens, count), -100, dtype), np.zeros((tokens, count), np.int32)
    for first in range(0, centroids, block):
        part = np.ascontiguousarray(similarities[:, first : first + block])
        add_nearest(part, first, values, numbers)
    for token, row in enumerate(similarities.tolist()):
        assert sorted(values[token].tolist()) == values[token].tolist()
        best = sorted(range(centroids), key=lambda number: (-row[number], number))[:count]
        assert set(numbers[token].tolist()) == set(best)
        assert [row[number] for number in numbers[token].tolist()] == values[token].tolist()


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_promises_are_sums_of_the_nearest_lists_gains(data):
    """Against their definition, and the most promising documents against a sort in steps."""
    draw, documents = data.draw, 12
    lists = draw(st.lists(st.sets(st.integers(0, documents - 1)), min_size=1, max_size=6))
    probes = draw(st.integers(1, len(lists)))
    tokens = draw(st.integers(1, 5))
    centroids = np.array([draw(st.permutations(range(len(lists))))[:probes] for _ in range(tokens)], np.int32)
    gains = np.array(
        [sorted(draw(st.integers(0, 40)) for _ in range(probes)) for _ in range(tokens)], np.float32
    )
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    entries = np.array([document for own in lists for document in sorted(own)], np.int32)
    seen, totals = np.zeros(documents, np.uint16), np.full(documents, np.nan, np.float32)
    listed = np.empty(documents, np.int32)
    count = add_gains(centroids, gains, offsets, entries, seen, totals, listed)
    expected = {}
    for token in range(tokens):
        best: dict[int, float] = {}
        for number, gain in zip(centroids[token].tolist(), gains[token].tolist(), strict=True):
            best |= dict.fromkeys(lists[number], gain)
        for document, gain in best.items():
            expected[document] = expected.get(document, 0) + gain
    assert {document: totals[document] for document in listed[:count].tolist()} == expected
    assert count == len(expected)
    assert not seen.any()
    wanted, most = draw(st.integers(1, documents)), float(gains[:, -1].sum())
    chosen = np.empty(min(wanted, count), np.int64)
    assert most_promising(listed[:count], totals, most, chosen) == len(chosen)
    order = sorted(expected, key=lambda document: (-expected[document], document))[:wanted]
    assert chosen.tolist() == sorted(order)


def test_centroids_are_means_and_vectors_belong_to_the_nearest_of_their_cell():
    vectors = torch.from_numpy(clustered([400], 5).vectors)
    centroids = Centroids.learn(vectors, 30, seed=0)
    assert 25 <= len(centroids) <= 35
    codes = torch.from_numpy(centroids.assign(vectors))
    for cell, (first, last) in enumerate(zip(centroids.bounds[:-1], centroids.bounds[1:], strict=True)):
        members = torch.cdist(vectors, centroids.cells).argmin(1) == cell
        nearest = torch.cdist(vectors[members], centroids.vectors[first:last]).argmin(1)
        assert torch.equal(codes[members], nearest + int(first))
    error = (vectors - centroids.vectors[codes]).norm(dim=1).mean()
    assert error < 0.8 * (vectors - vectors.mean(0)).norm(dim=1).mean()
    again = Centroids.learn(vectors, 30, seed=0)
    assert torch.equal(again.vectors, centroids.vectors)
    assert not torch.equal(Centroids.learn(vectors, 30, seed=1).vectors, centroids.vectors)


def sharded(folder, count: int = 9000) -> TokenIndex:
    documents = clustered([3] * count, 6)

    def encode(first: int, last: int):
        yield documents.take(range(first, last))

    return build_index(folder, names(count), encode, IndexSettings("int8", shard_documents=4096))


def test_an_interrupted_build_continues_and_equals_an_uninterrupted_one(tmp_path):
    index, wanted = sharded(tmp_path / "index"), PrunedSearch(centroids=40)
    whole = build_pruned(tmp_path / "whole", index, wanted)

    def stop(done: int, total: int) -> None:
        if done > 2 * 4096 * 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_pruned(tmp_path / "parts", index, wanted, stop)
    with pytest.raises(UserError, match="not a complete pruned index"):
        PrunedIndex.load(tmp_path / "parts", index)
    assert not list((tmp_path / "parts").glob("*.tmp-*"))
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.npy")}
    assert stamps
    again = build_pruned(tmp_path / "parts", index, wanted)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    queries = clustered([8] * 5, 7)
    runs = [search_pruned(pruned, names(5, "q"), queries, 20, 3, 50) for pruned in (whole, again)]
    assert runs[0].documents == runs[1].documents


def test_results_do_not_depend_on_shards(tmp_path):
    index = sharded(tmp_path / "index", 5000)
    one = TokenIndex.build(tmp_path / "one", names(5000), [clustered([3] * 5000, 6)], "int8")
    queries = clustered([8] * 5, 8)
    runs = []
    for folder, own in (("a", index), ("b", one)):
        pruned = build_pruned(tmp_path / folder, own, PrunedSearch(centroids=40))
        runs.append(search_pruned(pruned, names(5, "q"), queries, 20, 3, 50))
    assert runs[0].documents == runs[1].documents


def test_a_damaged_or_foreign_pruned_index_is_refused(index, tmp_path):
    build_pruned(tmp_path / "pruned", index, PrunedSearch(centroids=10))
    (tmp_path / "pruned/shard-00000/documents.npy").write_bytes(b"short")
    with pytest.raises(UserError, match="not a complete pruned index"):
        PrunedIndex.load(tmp_path / "pruned", index)
    other = TokenIndex.build(tmp_path / "other", ["a"], [clustered([3], 1)])
    with pytest.raises(UserError, match="it states"):
        PrunedIndex.load(tmp_path / "pruned", other)
    empty = TokenIndex.build(tmp_path / "empty", ["a"], [clustered([0], 1)])
    with pytest.raises(UserError, match="no document has a token"):
        build_pruned(tmp_path / "none", empty, PrunedSearch())


def test_a_small_index_has_few_centroids(tmp_path):
    assert default_centroids(1) == 16
    index = TokenIndex.build(tmp_path / "index", ["a", "b"], [clustered([1, 1], 1)])
    pruned = build_pruned(tmp_path / "pruned", index, PrunedSearch())
    found = search_pruned(pruned, ["q"], clustered([3], 2), 5, 4, 5)
    assert found.documents == search(index, ["q"], clustered([3], 2), 5).documents
