"""The index on disk: contents, memory mapping, and damage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.shards import quantise
from optical_sweeps.retrieval.token_index import TokenIndex, rank_ids


def ragged(lengths: list[int], dim: int = 4, seed: int = 0) -> RaggedEmbeddings:
    vectors = np.random.default_rng(seed).standard_normal((sum(lengths), dim)).astype(np.float32)
    return RaggedEmbeddings(vectors, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def slices(embeddings: RaggedEmbeddings, step: int) -> list[RaggedEmbeddings]:
    offsets = embeddings.offsets
    bounds = [(a, min(a + step, len(embeddings))) for a in range(0, len(embeddings), step)]
    return [
        RaggedEmbeddings(embeddings.vectors[offsets[a] : offsets[b]], offsets[a : b + 1] - offsets[a])
        for a, b in bounds
    ]


@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    step=st.integers(1, 5),
    dtype=st.sampled_from(["float32", "float16"]),
)
def test_the_index_does_not_depend_on_batch_size(tmp_path_factory, lengths, step, dtype):
    embeddings = ragged(lengths)
    ids = [f"d{number}" for number in range(len(lengths))]
    index = TokenIndex.build(tmp_path_factory.mktemp("index"), ids, slices(embeddings, step), dtype)
    assert list(index.ids) == ids
    assert (index.dtype, index.tokens, index.longest) == (dtype, sum(lengths), max(lengths))
    for number in range(len(ids)):
        assert np.array_equal(index.vectors_of(number), embeddings[number].astype(dtype).astype(np.float32))


@given(st.integers(0, 2**20), st.sampled_from([1e-6, 1.0, 1e4]))
def test_quantisation_errors_are_at_most_half_a_step(seed, size):
    vectors = size * np.random.default_rng(seed).standard_normal((20, 16)).astype(np.float32)
    vectors[3] = 0
    codes, scales = quantise(vectors)
    assert np.abs(codes.astype(int)).max(1).tolist() == [127] * 3 + [0] + [127] * 16
    assert (np.abs(codes * scales[:, None] - vectors) <= scales[:, None] * 0.501).all()


def test_an_int8_index_stores_codes_and_scales(tmp_path):
    embeddings = ragged([3, 0, 2])
    index = TokenIndex.build(tmp_path, ["a", "b", "c"], slices(embeddings, 1), "int8")
    (shard,) = index.shards
    assert (shard.vectors.dtype, shard.scales.dtype) == (np.int8, np.float32)
    codes, scales = quantise(embeddings.vectors)
    assert np.array_equal(index.vectors_of(2), (codes * scales[:, None])[3:])
    norms = np.linalg.norm(codes.astype(float) * scales[:, None], axis=1)
    assert norms.max() <= shard.largest_norm <= norms.max() * 1.001
    assert (tmp_path / "shard-00000/vectors.npy").stat().st_size < 5 * 4 + 200


def test_vectors_are_memory_mapped(tmp_path):
    index = TokenIndex.build(tmp_path, ["a", "b"], [ragged([3, 2])])
    assert isinstance(index.shards[0].vectors, np.memmap)
    assert not index.shards[0].vectors.flags.writeable


def test_numpy_reads_the_vectors_file(tmp_path):
    """The header is written before the number of rows is known, and then replaced."""
    TokenIndex.build(tmp_path, [str(n) for n in range(300)], slices(ragged([7] * 300), 11))
    assert np.load(tmp_path / "shard-00000/vectors.npy").shape == (2100, 4)


@given(st.lists(st.text(), unique=True))
def test_id_ranks_sort_the_ids(ids):
    assert [ids[place] for place in np.argsort(rank_ids(ids))] == sorted(ids)


@pytest.mark.parametrize(
    ("ids", "batches", "message"),
    [
        (["a", "b", "a"], [ragged([1, 1, 1])], "'a' occurs twice"),
        (["a", "b"], [ragged([1])], "2 document ids but the embeddings of 1 "),
        (["a"], [ragged([1]), ragged([1])], "1 document ids but the embeddings of 2 "),
        (["a"], [], "1 document ids but the embeddings of 0 "),
        (["a", "b"], [ragged([1]), ragged([1], dim=5)], "dimension 5 after vectors of dimension 4"),
        (["a"], [RaggedEmbeddings(np.zeros((3, 4), np.float32), np.array([0, 2]))], "offsets do not divide 3"),
    ],
)
def test_inconsistent_batches_are_refused(tmp_path, ids, batches, message):
    with pytest.raises(ValueError, match=message):
        TokenIndex.build(tmp_path, ids, batches)
    with pytest.raises(UserError, match="build the index again"):
        TokenIndex.load(tmp_path)


def test_a_vector_that_is_not_finite_is_refused_with_its_document(tmp_path):
    embeddings = ragged([2, 0, 2, 1])
    embeddings.vectors[3, 1] = np.nan
    with pytest.raises(ValueError, match="document 'c'"):
        TokenIndex.build(tmp_path, ["a", "b", "c", "d"], slices(embeddings, 2))


PARTS = ["index.json", "ids.bin", "ids.offsets", "id_ranks.npy"]
SHARD = [f"shard-00000/{name}" for name in ("shard.json", "vectors.npy", "offsets.npy", "scales.npy")]


@pytest.mark.parametrize("name", [*PARTS, *SHARD])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"\x93NUMPY"])
def test_a_damaged_part_is_reported_in_one_line(tmp_path, name, content):
    TokenIndex.build(tmp_path, ["one", "other"], [ragged([3, 2])], "int8")
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        TokenIndex.load(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("shard-00000/vectors.npy", np.zeros((4, 4), np.float32)),
        ("shard-00000/vectors.npy", np.zeros((5, 4), np.float64)),
        ("shard-00000/offsets.npy", np.array([0, 3])),
        ("shard-00000/offsets.npy", np.array([0, 6, 5])),
        ("id_ranks.npy", np.array([0])),
    ],
)
def test_parts_that_disagree_are_reported(tmp_path, name, content):
    TokenIndex.build(tmp_path, ["a", "b"], [ragged([3, 2])])
    np.save(tmp_path / name, content)
    with pytest.raises(UserError, match=rf"{name.split('/')[-1]}.*build the index again"):
        TokenIndex.load(tmp_path)


def test_ids_that_disagree_are_reported(tmp_path):
    TokenIndex.build(tmp_path, ["a", "b"], [ragged([3, 2])])
    (tmp_path / "ids.bin").write_bytes(b"a")
    with pytest.raises(UserError, match=r"ids\.bin"):
        TokenIndex.load(tmp_path)
