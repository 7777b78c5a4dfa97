"""Packed collections equal their source, whatever happens during packing."""

import json
import pickle
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora import packed
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.packed import packed_documents
from optical_sweeps.errors import UserError

PARTS = ("ids.bin", "ids.offsets", "ids.hashes", "ids.order", "texts.bin", "texts.offsets")
RECORDS = [("d1", "one"), ("d10", ""), ("d2", "Grüße\n\x00, 世界 🙂")]


def pack(folder, records=RECORDS, **options):
    return packed_documents(folder, "en", lambda: records, options.pop("facts", {}), **options)


@given(
    st.lists(st.tuples(st.text(), st.text()), unique_by=lambda record: record[0]).filter(
        lambda records: any(text for _, text in records)
    ),
    st.integers(1, 4),
    st.data(),
)
@settings(deadline=None, max_examples=50)
def test_packed_texts_are_read_back(records, block, data):
    records = [tuple(part.encode(errors="replace").decode() for part in record) for record in records]
    ids, texts = tuple(r[0] for r in records), tuple(r[1] for r in records)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "BLOCK", block)
        documents = pack(Path(folder) / "pack", records)
        assert (len(documents), tuple(documents.ids), tuple(documents.texts)) == (len(records), ids, texts)
        assert (
            documents.fingerprint()
            == Documents("en", ids, texts).fingerprint()
            == fingerprint_of_texts((*ids, *texts))
        )
        cut = slice(
            *(data.draw(st.none() | st.integers(-6, 6)) for _ in "ab"),
            data.draw(st.sampled_from([None, 1, 2, -1])),
        )
        assert documents.texts[cut] == list(texts[cut])
        names = [*ids[::2], "not there", "d"]
        assert documents.positions(names) == {name: ids.index(name) for name in names if name in ids}
        assert documents.unknown(names) == set(names) - set(ids)


def test_single_items_and_their_bounds(tmp_path):
    documents = pack(tmp_path / "pack")
    assert (documents.ids[0], documents.texts[-1]) == ("d1", RECORDS[2][1])
    with pytest.raises(IndexError):
        documents.texts[3]
    again = pickle.loads(pickle.dumps(documents))
    assert (list(again.texts), again.positions(["d2"])) == ([text for _, text in RECORDS], {"d2": 2})


def test_half_of_a_surrogate_pair_becomes_the_replacement_character(tmp_path):
    assert pack(tmp_path / "pack", [("d1", "a\ud800b")]).texts[0] == "a\ufffdb"


def test_a_repeated_id_is_refused(tmp_path):
    with pytest.raises(UserError, match="document id 'd1' is repeated"):
        pack(tmp_path / "pack", [("d1", "a"), ("d2", "b"), ("d1", "c")])
    assert not list(tmp_path.glob("pack*"))


def test_ids_with_equal_hashes_are_distinguished(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_hashes", lambda ids: np.zeros(len(ids), dtype="<u8"))
    documents = pack(tmp_path / "pack")
    assert documents.positions(["d2", "d1", "d3"]) == {"d2": 2, "d1": 0}


def test_a_folder_is_packed_once_and_again_for_other_facts_or_another_stamp(tmp_path):
    builds = []

    def records():
        builds.append(1)
        return RECORDS

    def open_pack(facts, stamp):
        return packed_documents(tmp_path / "pack", "en", records, facts, lambda: stamp)

    for facts, stamp, times in (
        ({"a": 1}, [1], 1),
        ({"a": 1}, [1], 1),
        ({"a": 1}, None, 1),
        ({"a": 1}, [2], 2),
        ({"a": 2}, [2], 3),
    ):
        open_pack(facts, stamp)
        assert len(builds) == times


@pytest.mark.parametrize("part", [*PARTS, "pack.json"])
def test_a_damaged_part_is_packed_again(tmp_path, part):
    pack(tmp_path / "pack")
    (tmp_path / "pack" / part).write_bytes((tmp_path / "pack" / part).read_bytes()[:-1])
    assert list(pack(tmp_path / "pack").texts) == [text for _, text in RECORDS]
    json.loads((tmp_path / "pack" / "pack.json").read_text())


def test_remains_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".pack.tmp-1234").mkdir()
    pack(tmp_path / "pack")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["pack"]


def test_a_failing_source_leaves_no_folder(tmp_path):
    def records():
        yield "d1", "one"
        raise UserError("cut short")

    with pytest.raises(UserError, match="cut short"):
        packed_documents(tmp_path / "pack", "en", records, {})
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="texts cannot be packed there"):
        pack(tmp_path / "file" / "pack")


def test_concurrent_processes_pack_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from optical_sweeps.corpora.packed import packed_documents\n"
        "records = lambda: print('building') or ((f'd{i}', 'text ' * 50) for i in range(20_000))\n"
        "print(packed_documents(Path(sys.argv[1]), 'en', records, {}).fingerprint())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path / "pack"], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    lines = [line for process in processes for line in process.communicate()[0].splitlines()]
    assert lines.count("building") == 1
    assert len(lines) == 4
    assert len(set(lines)) == 2


def test_memory_does_not_grow_with_the_texts(tmp_path, monkeypatch):
    """Packing and reading 18 MB of text takes a few MB, with offsets and hashes."""
    monkeypatch.setattr(packed, "BLOCK", 500)
    tracemalloc.start()
    documents = pack(tmp_path / "pack", ((f"d{i}", "x" * 3000) for i in range(6000)))
    assert sum(map(len, documents.texts)) == 18_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000
