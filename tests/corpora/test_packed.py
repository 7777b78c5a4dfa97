"""Packed collections are the sequences they were made of, whatever happens while they are made."""

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
from optical_sweeps.corpora.packed import PARTS, packed_documents
from optical_sweeps.errors import UserError

RECORDS = [("d1", "one"), ("d10", ""), ("d2", "Grüße\n\x00, 世界 🙂")]


def pack(folder, records=RECORDS, **options):
    return packed_documents(folder, "en", lambda: records, options.pop("facts", {}), **options)


@given(
    st.lists(st.tuples(st.text(), st.text()), unique_by=lambda record: record[0]), st.integers(1, 4), st.data()
)
@settings(deadline=None, max_examples=50)
def test_what_is_packed_is_what_comes_back(records, stretch, data):
    records = [tuple(part.encode(errors="replace").decode() for part in record) for record in records]
    ids, texts = tuple(r[0] for r in records), tuple(r[1] for r in records)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "STRETCH", stretch)
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
        assert [tuple(own) for own, _ in documents.stretches(2)] == [
            ids[k : k + 2] for k in range(0, len(ids), 2)
        ]
        asked = [*ids[::2], "not there", "d"]
        assert documents.positions(asked) == {name: ids.index(name) for name in asked if name in ids}
        assert documents.unknown(asked) == set(asked) - set(ids)


def test_single_items_and_their_bounds(tmp_path):
    documents = pack(tmp_path / "pack")
    assert (documents.ids[0], documents.texts[-1]) == ("d1", RECORDS[2][1])
    with pytest.raises(IndexError):
        documents.texts[3]
    again = pickle.loads(pickle.dumps(documents))
    assert (list(again.texts), again.positions(["d2"])) == ([text for _, text in RECORDS], {"d2": 2})


def test_half_of_a_surrogate_pair_becomes_a_question_mark(tmp_path):
    assert pack(tmp_path / "pack", [("d1", "a\ud800b")]).texts[0] == "a?b"


def test_an_id_that_stands_twice(tmp_path):
    with pytest.raises(UserError, match="document id 'd1' stands twice"):
        pack(tmp_path / "pack", [("d1", "a"), ("d2", "b"), ("d1", "c")])
    assert not list(tmp_path.glob("pack*"))


def test_ids_whose_hashes_collide_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_hashes", lambda ids: np.zeros(len(ids), dtype="<u8"))
    documents = pack(tmp_path / "pack")
    assert documents.positions(["d2", "d1", "d3"]) == {"d2": 2, "d1": 0}


def test_a_pack_is_made_once_and_again_for_other_facts_or_another_stamp(tmp_path):
    made = []

    def records():
        made.append(1)
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
        assert len(made) == times


@pytest.mark.parametrize("part", [*PARTS, "pack.json"])
def test_a_damaged_part_is_packed_again(tmp_path, part):
    pack(tmp_path / "pack")
    (tmp_path / "pack" / part).write_bytes((tmp_path / "pack" / part).read_bytes()[:-1])
    assert list(pack(tmp_path / "pack").texts) == [text for _, text in RECORDS]
    json.loads((tmp_path / "pack" / "pack.json").read_text())


def test_what_a_killed_builder_left_is_cleared_away(tmp_path):
    (tmp_path / ".pack.tmp-1234").mkdir()
    pack(tmp_path / "pack")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["pack"]


def test_a_source_that_fails_leaves_nothing(tmp_path):
    def records():
        yield "d1", "one"
        raise UserError("cut short")

    with pytest.raises(UserError, match="cut short"):
        packed_documents(tmp_path / "pack", "en", records, {})
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="documents cannot be packed there"):
        pack(tmp_path / "file" / "pack")


def test_processes_that_come_together_make_one_pack(tmp_path):
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
    """18 MB of text are packed and read through with a few MB, offsets and hashes included."""
    monkeypatch.setattr(packed, "STRETCH", 500)
    tracemalloc.start()
    documents = pack(tmp_path / "pack", ((f"d{i}", "x" * 3000) for i in range(6000)))
    assert sum(len(text) for _, texts in documents.stretches(500) for text in texts) == 18_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000
