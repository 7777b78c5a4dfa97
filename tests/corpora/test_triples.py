"""Triples from files and ir_datasets: the draw, its order, and refused input."""

import gzip
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.corpora.builders.triples import IrDatasetTriples, TripleFiles
from optical_sweeps.corpora.collections import RelevantPair
from optical_sweeps.corpora.triples import Triples, drawn
from optical_sweeps.errors import UserError

COLLECTION = "".join(f"p{number}\tpassage {number}\n" for number in range(6))
QUERIES = "q0\tfirst question\nq1\tsecond question\nq2\tthird question\n"
IDS = [("q0", "p0", "p3"), ("q1", "p1", "p4"), ("q0", "p2", "p5"), ("q2", "p4", "p0")]


def texts_of(triples: Triples) -> list[tuple[str, ...]]:
    return [
        (triples.queries[row[0]], *(triples.documents[number] for number in row[1:]))
        for row in triples.rows.tolist()
    ]


def in_file_order(limit=None) -> list[tuple[str, ...]]:
    query = dict(line.split("\t") for line in QUERIES.splitlines())
    passage = dict(line.split("\t") for line in COLLECTION.splitlines())
    return [(query[q], passage[a], passage[b]) for q, a, b in IDS]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "collection.tsv").write_text(COLLECTION)
    (tmp_path / "queries.tsv").write_text(QUERIES)
    (tmp_path / "ids.tsv").write_text("".join("\t".join(ids) + "\n" for ids in IDS))
    (tmp_path / "texts.tsv").write_text("".join("\t".join(texts) + "\n" for texts in in_file_order()))
    return tmp_path


def of_ids(files, path="ids.tsv", **settings) -> TripleFiles:
    return TripleFiles(
        path=files / path, queries=files / "queries.tsv", collection=files / "collection.tsv",
        cache=files / "cache", **settings,
    )  # fmt: skip


def of_texts(files, path="texts.tsv", **settings) -> TripleFiles:
    return TripleFiles(path=files / path, cache=files / "cache", **settings)


def test_texts_and_ids_give_the_same_triples_in_the_same_order(files):
    order = drawn(len(IDS), None, 0)
    expected = [in_file_order()[place] for place in order]
    assert texts_of(of_ids(files).triples()) == expected
    assert texts_of(of_texts(files).triples()) == expected
    (files / "texts.tsv.gz").write_bytes(gzip.compress((files / "texts.tsv").read_bytes()))
    assert texts_of(of_texts(files, "texts.tsv.gz").triples()) == expected


def test_each_text_is_packed_once(files):
    triples = of_texts(files).triples()
    assert sorted(triples.queries) == sorted({texts[0] for texts in in_file_order()})
    assert len(triples.documents) == 6


def test_colbert_lines_have_several_negatives_with_or_without_scores(files):
    lines = [["q0", "p0", "p3", "p4"], ["q1", ["p1", 9.5], ["p5", 2.0], ["p0", 1]]]
    (files / "ids.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    triples = of_ids(files, "ids.jsonl", negatives=2).triples()
    assert triples.negatives == 2
    found = sorted(texts_of(triples))
    assert found[0] == ("first question", "passage 0", "passage 3", "passage 4")
    assert found[1] == ("second question", "passage 1", "passage 5", "passage 0")
    assert of_ids(files, "ids.jsonl").triples().negatives == 1
    with pytest.raises(UserError, match=r"has 2 negatives; lower teacher\.triples\.negatives"):
        of_ids(files, "ids.jsonl", negatives=3).triples()


def test_a_smaller_draw_is_a_prefix_of_a_larger_one(files):
    assert texts_of(of_ids(files, limit=2).triples()) == texts_of(of_ids(files).triples())[:2]
    assert texts_of(of_texts(files, limit=2).triples()) == texts_of(of_texts(files).triples())[:2]


@given(st.integers(1, 300_000), st.integers(1, 50), st.integers(0, 5))
def test_drawn_positions_are_a_prefix_of_every_larger_draw(size, count, seed):
    few, more = drawn(size, count, seed), drawn(size, 2 * count, seed)
    assert few.tolist() == more[: len(few)].tolist()
    assert len(few) == min(size, count)
    assert len(set(more.tolist())) == len(more)
    assert more.max() < size


def test_the_seed_determines_the_order():
    one, other = drawn(1000, None, 0), drawn(1000, None, 1)
    assert sorted(one.tolist()) == sorted(other.tolist()) == list(range(1000))
    assert one.tolist() != other.tolist()
    # a hash, not a shift: neighbours do not stay neighbours
    assert np.abs(np.diff(one)).mean() > 250


def test_the_fingerprint_depends_on_content_and_not_on_paths(files, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("collection.tsv", "queries.tsv", "ids.tsv"):
        (other / name).write_bytes((files / name).read_bytes())
    assert of_ids(other).fingerprint() == of_ids(files).fingerprint()
    assert of_ids(files, seed=1).fingerprint() != of_ids(files).fingerprint()


def test_a_packed_draw_is_reused_until_a_file_changes(files):
    before = of_ids(files).triples()
    (rows,) = (files / "cache").rglob("rows.npy")
    stamp = rows.stat().st_mtime_ns
    assert of_ids(files).fingerprint() == before.fingerprint()
    assert rows.stat().st_mtime_ns == stamp
    (files / "collection.tsv").write_text(COLLECTION.replace("passage 4", "another passage"))
    assert of_ids(files).fingerprint() != before.fingerprint()
    assert any("another passage" in texts for texts in texts_of(of_ids(files).triples()))


@pytest.mark.parametrize("remains", ["truncated", "gone"])
def test_remains_of_a_killed_process_are_packed_again(files, remains):
    whole = of_texts(files).fingerprint()
    (note,) = (files / "cache").glob("*/rows/pack.json")
    note.write_text(note.read_text()[:20]) if remains == "truncated" else note.unlink()
    assert of_texts(files).fingerprint() == whole


def test_rows_that_share_a_query_or_a_positive_have_one_concept():
    rows = np.array([[0, 0, 3], [1, 0, 3], [1, 1, 2], [2, 2, 0]], np.int32)
    triples = Triples(("a", "b", "c"), ("w", "x", "y", "z"), rows)
    first, second, third, fourth = triples.concepts
    assert first == second == third != fourth
    assert triples.document_concepts[[0, 1]].tolist() == [first, first]
    assert triples.document_concepts[2] == fourth
    assert triples.document_concepts[3] not in (first, fourth)


def test_pairs_keep_their_concepts():
    pairs = [RelevantPair("a", "x", "one"), RelevantPair("b", "x", "two"), RelevantPair("a", "y", "one")]
    triples = Triples.of_pairs(pairs)
    assert texts_of(triples) == [("a", "x"), ("b", "x"), ("a", "y")]
    assert triples.negatives == 0
    assert triples.concepts[0] == triples.concepts[2] != triples.concepts[1]


def test_memory_grows_with_the_draw_only(tmp_path):
    """Drawing ten triples from a file of 5 MB takes a small part of that."""
    with (tmp_path / "texts.tsv").open("w") as file:
        for number in range(5_000):
            file.write(f"question {number}\tpassage {number} {'x' * 480}\tanother {number} {'y' * 480}\n")
    tracemalloc.start()
    try:
        triples = of_texts(tmp_path, limit=10).triples()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(triples) == 10
    assert peak < 1_500_000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a question\ta passage\n", r"texts\.tsv:2: 2 columns where 3 are expected"),
        ("a question\t\ta passage\n", r"texts\.tsv:2: the column 'positive' is empty"),
    ],
)
def test_a_bad_line_of_texts_is_named(files, line, message):
    (files / "texts.tsv").write_text("q\ta\tb\n" + line)
    with pytest.raises(UserError, match=message):
        of_texts(files).triples()


@pytest.mark.parametrize("line", ["{}", "[1, 2]", '["q0", [], "p1"]', "nothing", "[1, true, 2]"])
def test_a_bad_line_of_ids_is_named(files, line):
    (files / "ids.jsonl").write_text('["q0", "p0", "p1"]\n' + line + "\n")
    with pytest.raises(UserError, match=r"ids\.jsonl:2: not a triple; write \[query id"):
        of_ids(files, "ids.jsonl").triples()


def test_unknown_ids_are_named(files):
    (files / "ids.tsv").write_text("q0\tp0\tp99\n")
    with pytest.raises(UserError, match="name 'p99', which is in neither the queries nor"):
        of_ids(files).triples()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"path": "nowhere.tsv"}, "path"),
        ({"queries": "queries.tsv"}, "queries, teacher.triples.collection"),
        ({"limit": 0}, "limit"),
        ({"negatives": 0}, "negatives"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_settings_name_their_key(files, change, key):
    settings = {"path": files / "texts.tsv"} | change
    with pytest.raises(UserError, match=rf"teacher\.triples\.{key.replace('.', chr(92) + '.')}"):
        TripleFiles(**settings, cache=files / "cache")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (
            "msmarco-passage/train",
            {
                ("what is a passage", "A passage.", "A café by the sea."),
                ("what else", "Another.", "A passage."),
            },
        ),
        (
            "mmarco/v2/de/train",
            {
                ("de train question", "de passage 0", "de passage 1"),
                ("another", "de passage 2", "de passage 0"),
            },
        ),
    ],
)
def test_docpairs_of_ir_datasets(irds, tmp_path, dataset, expected):
    source = IrDatasetTriples(
        dataset=dataset, complete=False, cache=tmp_path / "triples", documents=tmp_path / "collections"
    )
    triples = source.triples()
    assert set(texts_of(triples)) == expected
    one = IrDatasetTriples(
        dataset=dataset, limit=1, complete=False, cache=tmp_path / "triples", documents=tmp_path / "collections"
    ).triples()
    assert texts_of(one) == texts_of(triples)[:1]


def test_a_dataset_without_triples_is_refused(irds, tmp_path):
    source = IrDatasetTriples(
        dataset="msmarco-passage/dev/small", complete=False, cache=tmp_path, documents=tmp_path / "collections"
    )
    with pytest.raises(UserError, match="this dataset has no docpairs"):
        source.triples()
    with pytest.raises(UserError, match=r"teacher\.triples\.dataset: .* no such dataset"):
        IrDatasetTriples(dataset="msmarco-passage/nowhere")
