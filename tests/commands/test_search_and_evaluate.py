"""`search`, `evaluate` and `cache` on a small finished run."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.commands import evaluate, search
from optical_sweeps.errors import UserError
from tests.support.command_line import call, with_closed_output
from tests.support.configs import compose

STUDY = """
data=synthetic languages=synthetic backbone=tiny objective=optical logger=disabled sweep.name=small
data.lexicon_size=120 data.topics=40 data.documents_per_topic=2
languages.high=[near,shifted] languages.low=[fusing,distant]
++data.daughters.near.pairs=80 ++data.daughters.shifted.pairs=80 ++data.daughters.inverted.pairs=80
++data.daughters.fusing.pairs=80 ++data.daughters.splitting.pairs=80 ++data.daughters.distant.pairs=80
backbone.layers=1 backbone.hidden_size=32 backbone.vocabulary_size=500 encoder.dim=16
teacher.training.epochs=2 teacher.training.learning_rate=1e-3
training.batch_size=8 training.learning_rate=1e-3 mixture.total=80 mixture.ratio=0.5
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A folder with one small finished run."""
    folder = tmp_path_factory.mktemp("study")
    program = Path(sys.executable).with_name("optical-sweeps")
    passed = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    done = subprocess.run(
        [str(program), "train", *STUDY.split()],
        cwd=folder,
        env={**passed, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def there(study, monkeypatch) -> Path:
    """The run's folder, relative to the folder in which it was started."""
    monkeypatch.chdir(study)
    (record,) = study.glob("multirun/small/*/record.json")
    return record.parent.relative_to(study)


def composed(command: str, *overrides: str):
    return compose(command, *overrides, "machine.threads=1")


def first_query(folder: Path) -> str:
    """A dev query of the run's corpus."""
    from optical_sweeps.runs.spec.corpus_section import corpus_of

    record = json.loads((folder / "record.json").read_text())
    return str(corpus_of(record["config"]["data"]).collection("near", "dev").queries.texts[0])


def test_a_search_whose_reader_leaves_ends_quietly(there):
    code, err = with_closed_output(Path.cwd(), "search", str(there), "--query", first_query(there))
    assert (code in (1, 141), err) == (True, "")


@pytest.mark.parametrize("encoder", ["student", "teacher"])
def test_search_lists_the_matched_tokens(there, capsys, encoder):
    query = first_query(there)
    search.run(composed("search", "k=3", f"query_encoder={encoder}"), there, query=query, as_json=True)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    result = json.loads(line)
    assert result["query"] == query
    assert [passage["rank"] for passage in result["passages"]] == [1, 2, 3]
    for passage in result["passages"]:
        assert passage["score"] == pytest.approx(sum(m["similarity"] for m in passage["matches"]), abs=1e-3)
        words = passage["text"].lower()
        assert all(match["document"].lower() in words for match in passage["matches"])
    assert result["passages"][0]["score"] >= result["passages"][2]["score"]


def test_search_prints_the_results_of_a_file_of_queries(there, tmp_path, capsys):
    query = first_query(there)
    (tmp_path / "queries.tsv").write_text(f"q7\t{query}\n\n{query}\n", encoding="utf-8")
    search.run(composed("search", "k=2"), there, queries=f"{tmp_path}/queries.tsv")
    lines = capsys.readouterr().out.splitlines()
    assert f"q7: {query}" in lines
    assert f"3: {query}" in lines
    assert sum(line.strip().startswith(("1. ", "2. ")) for line in lines) == 4
    assert any("~" in line for line in lines)


def test_queries_end_at_line_feeds_and_a_byte_order_mark_is_ignored(there, tmp_path, capsys):
    query = first_query(there)
    written = [("q7", f"{query}\u2028{query}"), ("q8", f"{query}\x85{query}"), ("q9", f"{query}\x0c{query}")]
    lines = "".join(f"{name}\t{text}\r\n" for name, text in written)
    (tmp_path / "queries.tsv").write_bytes(f"\ufeff{lines}".encode())
    search.run(composed("search", "k=1"), there, queries=f"{tmp_path}/queries.tsv", as_json=True)
    result = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line.startswith("{")]
    assert [(one["id"], one["query"]) for one in result] == written


@pytest.mark.parametrize(
    "text",
    [
        "été", "고양이", "قطة", "l'eau", "cats, dogs", "a=b", "50% off #1", "1e3", "true", "${oc.env:HOME}",
        "-x", "'half open", "--help", "query=x", "{a: [b]}", "a\\b", 'say "yes"', "null", "नमस्ते", "\u200fשלום",
    ],
)  # fmt: skip
def test_a_query_is_searched_as_it_is_written(there, capsys, monkeypatch, text):
    for query, standard_input in ((text, ""), ("-", f"{text}\n")):
        monkeypatch.setattr("sys.stdin", io.StringIO(standard_input))
        search.run(composed("search", "k=1"), there, query=query, as_json=True)
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        assert json.loads(line)["query"] == text


def test_queries_are_read_from_standard_input(there, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeffq1\tété\n\n50% off #1\n"))
    search.run(composed("search", "k=1"), there, queries="-", as_json=True)
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [(result["id"], result["query"]) for result in results] == [("q1", "été"), ("3", "50% off #1")]


@pytest.mark.parametrize(
    ("overrides", "options", "message"),
    [
        ([], {"query": "a", "run": None}, "give a run's folder, such as"),
        ([], {"query": "a", "queries": "b"}, "--query, --queries: give one"),
        ([], {}, "--query, --queries: give one"),
        ([], {"query": " "}, "--query: empty"),
        ([], {"query": "\udcff"}, "--query: '\\udcff' is not valid in the terminal's encoding"),
        ([], {"queries": "-"}, "--queries: line 2: '\\udcff' is not valid in the terminal's encoding"),
        ([], {"queries": "nothing.tsv"}, "--queries: nothing.tsv: cannot be read (No such file"),
        (["k=0"], {"query": "a"}, "k: 0"),
        (["language=xx"], {"query": "a"}, "language: 'xx'"),
        (["query_encoder=both"], {"query": "a"}, "query_encoder: 'both' is not one of student, teacher"),
        (["index=int8", "index.dtype=int4"], {"query": "a"}, "index.dtype"),
        ([], {"query": "a", "run": Path("multirun")}, "not done"),
        (["checkpoint=multirun"], {"query": "a", "run": None}, "name one, such as data=emoji"),
    ],
)
def test_a_bad_search_is_one_line(there, monkeypatch, overrides, options, message):
    monkeypatch.setattr("sys.stdin", io.StringIO("fine\n\udcff\n"))
    with pytest.raises(UserError) as error:
        search.run(composed("search", *overrides), **{"run": there, **options})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def scores(capsys) -> dict[str, list[float]]:
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    return {row[0]: [float(value) for value in row[1:]] for row in rows if len(row) == 5 and row[1][0] in "01"}


def test_evaluate_reproduces_the_record(there, capsys, tmp_path):
    evaluate.run(composed("evaluate", f"output={tmp_path}"), there)
    measures = json.loads((there / "record.json").read_text())["measures"]["test"]
    found = scores(capsys)
    assert found.keys() == measures["nDCG@10"].keys()
    for where, values in found.items():
        assert values == pytest.approx([round(measures[name][where], 3) for name in measures], abs=1e-9)
    assert len(list((tmp_path / "runs").glob("test.*.trec.gz"))) == 4


def test_evaluate_a_checkpoint_on_another_collection(there, capsys):
    """The stored teacher on the run's own data; int8 is close to float32."""
    (teacher,) = Path("artifacts").glob("teacher/*/encoder")
    data = [word for word in STUDY.split() if "data" in word]
    found = {}
    for dtype in ("float32", "int8"):
        words = ["query_languages=[near]", "split=dev", f"index={dtype}"]
        evaluate.run(composed("evaluate", f"checkpoint={teacher}", *data, *words), None)
        found[dtype] = scores(capsys)
    assert found["float32"].keys() == {"near", "group:all"}
    assert found["int8"]["near"] == pytest.approx(found["float32"]["near"], abs=0.02)


def test_a_checkpoint_folder_may_contain_spaces(there, tmp_path):
    (teacher,) = Path("artifacts").glob("teacher/*/encoder")
    shutil.copytree(teacher, tmp_path / "my  model")
    data = [word for word in STUDY.split() if "data" in word]
    words = ["query_languages=[near]", "split=dev", f"output={tmp_path}/found"]
    evaluate.run(composed("evaluate", f"checkpoint='{tmp_path}/my  model'", *data, *words), None)
    (path,) = tmp_path.glob("found/runs/dev.near.trec.gz")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert {line.split()[-1] for line in lines} == {"my_model"}


def test_cache_lists_verifies_and_prunes(study, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copytree(study / "artifacts", "artifacts")
    call("cache", "ls")
    listed = capsys.readouterr().out
    assert all(kind in listed for kind in ("teacher", "index", "english"))
    call("cache", "verify", "artifacts")
    assert "entries are sound" in capsys.readouterr().out
    vectors = next(Path("artifacts").glob("index/*/**/vectors.npy"))
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)
    with pytest.raises(UserError, match=r"1 of \d+ entries are broken"):
        call("cache", "verify")
    assert "vectors.npy has changed" in capsys.readouterr().out
    before = len(ArtifactStore("artifacts").ls())
    call("cache", "prune")
    assert "freed" in capsys.readouterr().out
    assert len(ArtifactStore("artifacts").ls()) == before - 1
    call("cache", "prune", "--kind", "teacher")
    assert {entry.kind for entry in ArtifactStore("artifacts").ls()} <= {"index", "english", "tokens"}
    call("cache", "prune", "--all")
    assert ArtifactStore("artifacts").ls() == []


def test_cache_verifies_one_kind_and_prune_removes_broken_entries_of_all(tmp_path, capsys):
    def build(folder: Path) -> None:
        (folder / "a.bin").write_bytes(b"as built")

    store = ArtifactStore(tmp_path)
    broken = store.get_or_build("teacher", {"a": 1}, build)
    kept = store.get_or_build("english", {"a": 1}, build)
    store.get_or_build("index", {"a": 1}, build)
    (broken / "a.bin").write_bytes(b"as changed")
    call("cache", "verify", str(tmp_path), "--kind=index")
    assert capsys.readouterr().out.startswith("1 entries are sound")
    with pytest.raises(UserError, match="1 of 1 entries are broken"):
        call("cache", "verify", str(tmp_path), "--kind=teacher")
    with pytest.raises(UserError, match="1 of 3 entries are broken"):
        call("cache", "verify", str(tmp_path))
    call("cache", "prune", str(tmp_path), "--kind=index")
    assert [entry.folder for entry in store.ls()] == [kept]


def test_cache_lists_unfinished_builds(tmp_path, capsys):
    def cut_off(folder: Path) -> None:
        np.save(folder / "part.npy", np.zeros(100))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ArtifactStore(tmp_path).get_or_build_in_parts("index", {"a": 1}, cut_off)
    call("cache", "ls", str(tmp_path))
    assert "continues it" in " ".join(capsys.readouterr().out.split())
    call("cache", "prune", str(tmp_path))
    assert "1 unfinished builds hold 928 B" in capsys.readouterr().out
    call("cache", "prune", str(tmp_path), "--unfinished")
    assert "freed 928 B" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["empty"], ["ls", "nowhere"], ["ls", "a", "b"], ["verify", "--all"]])
def test_a_bad_call_of_cache_is_one_line(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cache"):
        call("cache", *arguments)
