"""Search compared with loops over documents and tokens, and invariants of its order."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval import block_scoring, maxsim
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.shards import LEVELS, Shard, quantise
from optical_sweeps.retrieval.token_index import TokenIndex, rank_ids

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=25)


def index_of(
    texts: list[np.ndarray], ids: list[str] | None = None, dim: int = 4, shards: int = 1, dtype: str = "float32"
) -> TokenIndex:
    ids = ids or [f"d{number}" for number in range(len(texts))]
    bounds = np.linspace(0, len(texts), shards + 1).astype(int)
    parts = [shard_of(texts[a:b], dim, dtype) for a, b in itertools.pairwise(bounds)]
    return TokenIndex(tuple(ids), rank_ids(ids), tuple(parts))


def shard_of(texts: list[np.ndarray], dim: int, dtype: str) -> Shard:
    ragged = ragged_of(texts, dim)
    if dtype != "int8":
        return Shard(ragged.vectors.astype(dtype), ragged.offsets)
    codes, scales = quantise(ragged.vectors)
    norms = np.linalg.norm(codes * scales[:, None].astype(float), axis=1)
    return Shard(codes, ragged.offsets, scales, float(norms.max(initial=0)) * (1 + 2**-20))


def as_floats(index: TokenIndex) -> TokenIndex:
    """The vectors that an index represents, in float32."""
    shards = tuple(Shard(shard.floats(slice(None)), shard.offsets) for shard in index.shards)
    return TokenIndex(index.ids, index.id_ranks, shards)


def ragged_of(texts: list[np.ndarray], dim: int = 4) -> RaggedEmbeddings:
    vectors = np.concatenate([*texts, np.empty((0, dim), np.float32)]).astype(np.float32)
    return RaggedEmbeddings(vectors, np.cumsum([0, *map(len, texts)]).astype(np.int64))


def whole_numbers(lengths: list[int], seed: int, dim: int = 4) -> list[np.ndarray]:
    """Vectors of small whole numbers: products and sums are exact in float32, and ties are frequent."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-2, 3, (length, dim)).astype(np.float32) for length in lengths]


def normal(lengths: list[int], seed: int, dim: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    texts = [rng.standard_normal((length, dim)).astype(np.float32) for length in lengths]
    return [text / np.linalg.norm(text, axis=1, keepdims=True) for text in texts]


def slow_ranking(
    query: np.ndarray, documents: list[np.ndarray], ids: list[str], k: int
) -> list[tuple[str, float]]:
    """The definition, in double precision."""
    found = []
    for name, document in zip(ids, documents, strict=True):
        if len(document) and len(query):
            found.append((name, sum(max(float(np.dot(q, d)) for d in document.astype(float)) for q in query)))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]


def rankings(run) -> list[list[tuple[str, float]]]:
    return [list(zip(d, s.tolist(), strict=True)) for d, s in zip(run.documents, run.scores, strict=True)]


@pytest.fixture
def small_cut(monkeypatch):
    """Limits so small that a few documents make many blocks and tiles."""
    monkeypatch.setattr(maxsim, "LARGEST_BLOCK", 20)
    monkeypatch.setattr(maxsim, "BLOCK_DOCUMENTS", 5)
    monkeypatch.setattr(block_scoring, "SMALLEST_CHUNK", 6)
    monkeypatch.setattr(block_scoring, "LARGEST_CHUNK", 6)
    monkeypatch.setattr(maxsim, "TILE_QUERY_TOKENS", 7)
    monkeypatch.setattr(maxsim, "TILE_QUERIES", 2)


def check_against_loops(document_lengths, query_lengths, k, seed, shards=1):
    documents, queries = whole_numbers(document_lengths, seed), whole_numbers(query_lengths, seed + 1)
    index = index_of(documents, shards=shards)
    run = search(index, [f"q{n}" for n in range(len(queries))], ragged_of(queries), k)
    expected = [slow_ranking(query, documents, list(index.ids), k) for query in queries]
    assert rankings(run) == expected


@settings(deadline=None, max_examples=60)
@given(LENGTHS, LENGTHS, st.integers(1, 30), st.integers(0, 2**20), st.integers(1, 4))
def test_search_is_bit_identical_to_loops(document_lengths, query_lengths, k, seed, shards):
    check_against_loops(document_lengths, query_lengths, k, seed, shards)


@pytest.mark.usefixtures("small_cut")
@pytest.mark.parametrize("seed", range(25))
def test_search_equals_loops_in_many_blocks_and_tiles(seed):
    rng = np.random.default_rng(seed)
    document_lengths = rng.integers(0, 9, 40).tolist()
    check_against_loops(document_lengths, rng.integers(0, 9, 12).tolist(), int(rng.integers(1, 45)), seed)


@settings(deadline=None, max_examples=30)
@given(LENGTHS, LENGTHS, st.integers(0, 2**20))
def test_unit_vectors_score_as_in_loops(document_lengths, query_lengths, seed):
    documents, queries = normal(document_lengths, seed), normal(query_lengths, seed + 1)
    index = index_of(documents)
    run = search(index, [f"q{n}" for n in range(len(queries))], ragged_of(queries), len(documents))
    for query, ranking in zip(queries, rankings(run), strict=True):
        expected = dict(slow_ranking(query, documents, list(index.ids), len(documents)))
        assert dict(ranking) == pytest.approx(expected, abs=1e-5)


def test_negative_similarities_are_not_replaced_by_padding():
    one = np.array([[1.0, 0, 0, 0]], np.float32)
    documents = [-one, -0.5 * np.repeat(one, 3, axis=0), np.repeat(-0.8 * one, 5, axis=0)]
    run = search(index_of(documents), ["q"], ragged_of([one]), 3)
    assert run.documents == (("d1", "d2", "d0"),)
    assert run.scores[0].tolist() == pytest.approx([-0.5, -0.8, -1.0])


def test_empty_documents_and_queries_have_no_results():
    documents = [np.empty((0, 4), np.float32), -np.ones((1, 4), np.float32), np.empty((0, 4), np.float32)]
    queries = [np.ones((2, 4), np.float32), np.empty((0, 4), np.float32)]
    run = search(index_of(documents), ["full", "empty"], ragged_of(queries), 10)
    assert run.documents == (("d1",), ())
    assert search(index_of(documents[:1]), ["full"], ragged_of(queries[:1]), 10).documents == ((),)


def test_ties_are_in_the_order_of_ids_for_any_block_size(monkeypatch):
    ids = ["d2", "d10", "e", "D", "d1", "ä", "d", "z9"]
    documents = [np.ones((length, 4), np.float32) for length in (3, 1, 2, 3, 1, 1, 4, 2)]
    index = index_of(documents, ids)
    for block in (1, 3, 4096):
        monkeypatch.setattr(maxsim, "BLOCK_DOCUMENTS", block)
        for k in (1, 3, 8):
            run = search(index, ["q"], ragged_of([np.ones((2, 4), np.float32)]), k)
            assert run.documents == (tuple(sorted(ids)[:k]),)


@pytest.fixture(scope="module")
def unit_vectors():
    """Enough vectors for several blocks, passes and threads."""
    rng = np.random.default_rng(3)
    documents, queries = (
        normal(rng.integers(0, 30, 1500).tolist(), 4, 32),
        normal(rng.integers(1, 20, 400).tolist(), 5, 32),
    )
    return index_of(documents, dim=32), ragged_of(queries, 32), [f"q{n}" for n in range(len(queries))]


@pytest.mark.parametrize("k", [1, 10, 200, 2000])
def test_int8_search_is_bit_identical_to_search_of_its_vectors(unit_vectors, k, monkeypatch):
    """The filter of int8 indexes changes neither documents nor scores."""
    index, queries, ids = unit_vectors
    documents = [index.vectors_of(number) for number in range(len(index))]
    whole = index_of(documents, dim=32, shards=3, dtype="int8")
    if not block_scoring.int8_product_is_exact():
        pytest.skip("this processor reads int8 indexes as float32")
    monkeypatch.setattr(maxsim, "LARGEST_BLOCK", 4096)
    some = RaggedEmbeddings(queries.vectors[: queries.offsets[60]], queries.offsets[:61])
    found = search(whole, ids[:60], some, k)
    assert same_bits(found, search(as_floats(whole), ids[:60], some, k))
    monkeypatch.setattr(block_scoring, "_filters", lambda dtype: False)
    assert same_bits(found, search(whole, ids[:60], some, k))


@settings(deadline=None, max_examples=40)
@given(LENGTHS, LENGTHS, st.integers(1, 30), st.integers(0, 2**20), st.sampled_from([0.0, 1e-3, 1.0, 50.0]))
def test_int8_search_is_exact_with_ties_and_any_norm(document_lengths, query_lengths, k, seed, size):
    documents = [size * text for text in whole_numbers(document_lengths, seed)]
    queries = ragged_of(whole_numbers(query_lengths, seed + 1))
    whole = index_of(documents, dtype="int8", shards=2)
    names = [f"q{number}" for number in range(len(query_lengths))]
    assert same_bits(search(whole, names, queries, k), search(as_floats(whole), names, queries, k))


def test_the_int8_filter_scores_few_documents_exactly(monkeypatch):
    """int8 search is fast because the bound excludes most documents."""
    if not block_scoring.int8_product_is_exact():
        pytest.skip("this processor reads int8 indexes as float32")
    rng = np.random.default_rng(1)
    index = index_of(normal([20] * 2000, 1, 64), dim=64, dtype="int8")
    scored = []
    exact = block_scoring._add_exact
    monkeypatch.setattr(
        block_scoring, "_add_exact", lambda b, d, *rest: (scored.append(len(d)), exact(b, d, *rest))
    )
    search(index, ["q"], ragged_of(normal([8], int(rng.integers(99)), 64), 64), 10)
    assert 10 <= sum(scored) < 1000


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_scoring_on_a_device_gives_the_same_ranking(dtype, monkeypatch):
    """Runs the device path on the CPU."""
    documents, queries = whole_numbers([3, 0, 5, 2, 4, 4], 1, 8), ragged_of(whole_numbers([3, 0, 1], 2, 8), 8)
    index = index_of(documents, dim=8, dtype=dtype, shards=2)
    there = search(index, ["a", "b", "c"], queries, 4)
    monkeypatch.setattr(maxsim, "TILE_QUERIES", 1)
    assert [len(found) for found in there.documents] == [4, 0, 4]
    meta = search(as_floats(index), ["a", "b", "c"], queries, 4, device="cpu:0")
    assert meta.documents == there.documents
    for one, other in zip(meta.scores, there.scores, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def same_bits(one, other) -> bool:
    return one.documents == other.documents and all(map(np.array_equal, one.scores, other.scores))


def least_memory(index, queries, k) -> int:
    with pytest.raises(UserError, match="too small") as error:
        search(index, [f"q{n}" for n in range(len(queries))], queries, k, memory_budget_bytes=1)
    return int(str(error.value).split("at least ")[1].split()[0]) * 2**20


def test_results_do_not_depend_on_memory_and_threads(unit_vectors, monkeypatch):
    index, queries, ids = unit_vectors
    monkeypatch.setattr(maxsim, "LARGEST_BLOCK", 4096)
    least = least_memory(index, queries, 20)
    plan = maxsim._plan(index, queries, 20, least)
    assert len(plan.passes) > 1, "the smallest budget has to read the index more than once"
    reference = search(index, ids, queries, 20)
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            for budget in (least, 2 * least, 2**30):
                assert same_bits(search(index, ids, queries, 20, memory_budget_bytes=budget), reference)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)


@pytest.mark.usefixtures("small_cut")
@settings(deadline=None, max_examples=25)
@given(st.permutations(range(30)), st.integers(0, 2**20))
def test_results_do_not_depend_on_the_order_of_documents(order, seed):
    rng = np.random.default_rng(seed)
    documents = whole_numbers(rng.integers(0, 6, 30).tolist(), seed)
    ids = [f"d{number}" for number in range(30)]
    queries = ragged_of(whole_numbers([3, 1, 5], seed + 1))
    there = search(index_of(documents, ids), ["a", "b", "c"], queries, 12)
    permuted = index_of([documents[n] for n in order], [ids[n] for n in order])
    assert same_bits(search(permuted, ["a", "b", "c"], queries, 12), there)


def test_scores_do_not_depend_on_other_queries(unit_vectors):
    index, queries, ids = unit_vectors
    together = search(index, ids, queries, 10)
    for number in (0, 17, 399):
        alone = search(index, [ids[number]], ragged_of([queries[number]], 32), 10)
        np.testing.assert_allclose(alone.scores[0], together.scores[number], atol=1e-5)


def test_an_index_on_disk_in_half_precision(tmp_path):
    documents, queries = whole_numbers([3, 0, 2, 4], 1), ragged_of(whole_numbers([2, 3], 2))
    ids = ["a", "b", "c", "d"]
    half = TokenIndex.build(tmp_path, ids, [ragged_of(documents)], "float16")
    there = search(index_of(documents, ids), ["x", "y"], queries, 4)
    assert same_bits(search(half, ["x", "y"], queries, 4), there)


def test_progress_ends_at_all_pairs(unit_vectors, monkeypatch):
    index, queries, ids = unit_vectors
    monkeypatch.setattr(maxsim, "LARGEST_BLOCK", 4096)
    reports: list[tuple[int, int]] = []
    search(index, ids, queries, 5, progress=lambda done, total: reports.append((done, total)))
    assert len(reports) > 3
    assert reports == sorted(reports)
    assert reports[-1] == (400 * 1500, 400 * 1500)


def test_invalid_queries_are_refused():
    index, queries = index_of(whole_numbers([2, 2], 1)), ragged_of(whole_numbers([2], 1))
    with pytest.raises(ValueError, match="k is 0"):
        search(index, ["q"], queries, 0)
    with pytest.raises(ValueError, match="2 query ids but the embeddings of 1"):
        search(index, ["q", "r"], queries, 1)
    with pytest.raises(ValueError, match="dimension 3, the index has 4"):
        search(index, ["q"], ragged_of([np.ones((1, 3), np.float32)], 3), 1)
    with pytest.raises(ValueError, match="query 'r': a token vector is not finite"):
        search(index, ["q", "r"], ragged_of([np.ones((1, 4)), np.full((2, 4), np.nan)]), 1)


@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("norm", [1.0, 5.0])
def test_the_int8_filter_keeps_a_document_at_its_bound(tokens, norm):
    """A document along the rounding errors of the query, whose norm is the largest: nothing smaller bounds it.

    The query's other components are 0.49 steps, which are rounded to 0. In whole numbers, its score with the
    best document, which has no other components, is 0. The score of the second document is 1% below the best.
    """
    if not block_scoring.int8_product_is_exact():
        pytest.skip("this processor reads int8 indexes as float32")
    dim = 128
    query = np.full((tokens, dim), 0.49 / LEVELS, np.float32)
    query[:, 0] = 1
    best = np.full((1, dim), norm / np.sqrt(dim - 1), np.float32)
    best[0, 0] = 0
    second, far = np.zeros((1, dim), np.float32), np.zeros((1, dim), np.float32)
    second[0, 0] = 0.99 * float(query[0] @ best[0])
    far[0, 0] = -1
    index = index_of([far] * 8 + [second, best], dim=dim, dtype="int8")
    queries = ragged_of([query], dim)
    assert search(index, ["q"], queries, 1).documents == (("d9",),)
    assert same_bits(search(index, ["q"], queries, 2), search(as_floats(index), ["q"], queries, 2))
