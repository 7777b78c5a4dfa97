"""Building an index shard by shard: many builders, interruptions, and size checks."""

import json
import os
import shutil
import threading
import time

import numpy as np
import pytest

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval import index_size
from optical_sweeps.retrieval.build_index import build_index
from optical_sweeps.retrieval.index_settings import STORED_TYPES, IndexSettings
from optical_sweeps.retrieval.token_index import TokenIndex

DOCUMENTS = 25
IDS = [f"d{number}" for number in range(DOCUMENTS)]


class Settings(IndexSettings):
    """Allows shards that are smaller than a config may set."""

    def __post_init__(self) -> None:
        pass


SETTINGS = Settings("float32", 4)


def vectors(first: int, last: int) -> RaggedEmbeddings:
    """Each document's tokens depend only on its number."""
    lengths = [number % 3 for number in range(first, last)]
    rows = [np.random.default_rng(n).standard_normal((n % 3, 4)).astype(np.float32) for n in range(first, last)]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return RaggedEmbeddings(np.concatenate([*rows, np.empty((0, 4), np.float32)]), offsets)


def encode(first: int, last: int):
    for start in range(first, last, 2):
        yield vectors(start, min(start + 2, last))


def assert_whole(index: TokenIndex) -> None:
    assert list(index.ids) == IDS
    for number in range(DOCUMENTS):
        assert np.array_equal(index.vectors_of(number), vectors(number, number + 1).vectors)


def test_shards_contain_the_documents_in_order(tmp_path):
    reports: list[tuple[int, int]] = []
    index = build_index(tmp_path, IDS, encode, SETTINGS, lambda done, total: reports.append((done, total)))
    assert [len(shard) for shard in index.shards] == [4] * 6 + [1]
    assert_whole(index)
    assert reports == sorted(reports)
    assert reports[0] == (2, 25)
    assert reports[-1] == (25, 25)


def test_an_interrupted_build_is_resumed(tmp_path):
    def cut_off(first: int, last: int):
        if first == 12:
            raise KeyboardInterrupt
        yield from encode(first, last)

    def rest(first: int, last: int):
        assert first >= 12, "built again"
        yield from encode(first, last)

    with pytest.raises(KeyboardInterrupt):
        build_index(tmp_path, IDS, cut_off, SETTINGS)
    with pytest.raises(UserError):
        TokenIndex.load(tmp_path)
    assert_whole(build_index(tmp_path, IDS, rest, SETTINGS))


def test_builders_divide_the_shards(tmp_path):
    begun: list[tuple[int, int]] = []

    def slow(first: int, last: int):
        begun.append((first, threading.get_ident()))
        time.sleep(0.05)
        yield from encode(first, last)

    builders = [threading.Thread(target=build_index, args=(tmp_path, IDS, slow, SETTINGS)) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert sorted(first for first, _ in begun) == list(range(0, 25, 4)), "each shard is built once"
    assert len({who for _, who in begun}) == 3
    assert_whole(TokenIndex.load(tmp_path))


def test_a_corrupt_shard_is_rebuilt(tmp_path):
    build_index(tmp_path, IDS, encode, SETTINGS)
    (tmp_path / "index.json").unlink()
    with (tmp_path / "shard-00002/vectors.npy").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"!!!!")
    again: list[int] = []

    def counted(first: int, last: int):
        again.append(first)
        yield from encode(first, last)

    assert_whole(build_index(tmp_path, IDS, counted, SETTINGS))
    assert again == [8]


def test_shards_of_another_precision_are_rebuilt(tmp_path):
    build_index(tmp_path, IDS, encode, Settings("int8", 4))
    (tmp_path / "index.json").unlink()
    assert_whole(build_index(tmp_path, IDS, encode, SETTINGS))


def test_too_few_documents_are_refused(tmp_path):
    with pytest.raises(ValueError, match="4 document ids but the embeddings of 2"):
        build_index(tmp_path, IDS, lambda first, last: iter([vectors(first, first + 2)]), SETTINGS)
    with pytest.raises(ValueError, match="'d1' occurs twice"):
        build_index(tmp_path, ["d1", "d1"], encode, SETTINGS)


def test_an_index_that_does_not_fit_is_refused_with_numbers(tmp_path, monkeypatch):
    miracl = index_size.index_size(32_893_221, 100.0, 128, "float32")
    assert miracl.tokens == 3_289_322_100
    assert miracl.disk == pytest.approx(3_289_322_100 * 512, rel=0.01)
    monkeypatch.setattr(index_size, "free_disk", lambda folder: 10**11)
    with pytest.raises(UserError, match=r"need 18\d\d\.\d GB on disk, 100\.0 GB are free in .*int8"):
        index_size.check_free_space(tmp_path / "not" / "yet", miracl)
    monkeypatch.setattr(index_size, "free_disk", lambda folder: 10**13)
    monkeypatch.setattr(index_size, "free_memory", lambda: 10**9)
    with pytest.raises(UserError, match=r"GB of memory to build, 1\.0 GB are free"):
        index_size.check_free_space(tmp_path, miracl)


def test_existing_shards_need_no_additional_space(tmp_path):
    size = index_size.index_size(1000, 50.0, 128, "float16")
    free = shutil.disk_usage(tmp_path).free
    assert size.disk < free, "this test needs a little disk"
    index_size.check_free_space(tmp_path, index_size.IndexSize(1000, 50_000, free * 2, 1), existing=2 * free)


@pytest.mark.parametrize(
    ("dtype", "documents", "message"),
    [("bfloat16", 4096, "index.dtype"), ("int8", 5000, "set 4096"), ("int8", 0, "index.shard_documents")],
)
def test_invalid_settings_are_refused(dtype, documents, message):
    with pytest.raises(UserError, match=message):
        IndexSettings(dtype, documents)


def test_a_precision_that_the_device_does_not_support_is_refused():
    with pytest.raises(UserError, match=r"index\.encode_dtype: 'int8'"):
        IndexSettings(encode_dtype="int8")
    with pytest.raises(UserError, match="float16 needs a GPU"):
        IndexSettings(encode_dtype="float16").check_device("cpu")
    IndexSettings(encode_dtype="float16").check_device("cuda")
    IndexSettings(encode_dtype="bfloat16").check_device("cpu")


def test_the_key_of_an_index_depends_on_precision_only():
    all_ = [IndexSettings(dtype, 4096, encode) for dtype in STORED_TYPES for encode in ("float32", "bfloat16")]
    assert len({settings.vector_precision for settings in all_}) == len(all_)
    assert IndexSettings("int8", 8192).vector_precision == IndexSettings("int8").vector_precision


def test_the_size_estimate_is_close_to_the_actual_size(tmp_path):
    index = build_index(tmp_path, IDS, encode, SETTINGS)
    facts = json.loads((tmp_path / "index.json").read_text())
    vectors_on_disk = sum(path.stat().st_size for path in tmp_path.rglob("vectors.npy")) - 7 * 128
    estimate = index_size.index_size(DOCUMENTS, facts["tokens"] / DOCUMENTS, 4, "float32")
    assert estimate.disk - DOCUMENTS * 56 == pytest.approx(vectors_on_disk, abs=4 * 4)
    assert index.tokens == estimate.tokens
