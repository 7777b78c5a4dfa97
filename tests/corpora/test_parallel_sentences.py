"""Parallel sentences of the hub by name, from a local server that breaks off, and without a network."""

import io
import json
from collections.abc import Iterator

import pyarrow
import pytest
from pyarrow import parquet

from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.readers import downloads
from optical_sweeps.terminal_text import message_text
from tests.support.download_server import DownloadServer, serving
from tests.support.user_errors import failure

COMMIT = "5569af7d2c782d94b4e7dda9eb8d9875dc17f0aa"
DATASET = "datasets/sentence-transformers/parallel-sentences-talks"
PAIRS = [(f"line {number} of the talk", f"rivi {number}") for number in range(4_000)]
PARTS = ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet")


def table(pairs: list[tuple[str | None, str | None]]) -> bytes:
    """A Parquet file with the columns of the datasets."""
    english, other = zip(*pairs, strict=True)
    content = io.BytesIO()
    columns = pyarrow.table({"english": list(english), "non_english": list(other)})
    parquet.write_table(columns, content, row_group_size=1_000)
    return content.getvalue()


def hub() -> dict[str, bytes]:
    """What the hub answers for the Finnish talks."""
    files = {
        PARTS[0]: table(PAIRS[:3_000]),
        PARTS[1]: table(PAIRS[3_000:]),
        "dev-00000-of-00001.parquet": b"PAR1",
    }
    tree = [
        {"type": "file", "oid": "0" * 40, "path": f"en-fi/{name}", "size": len(content)}
        for name, content in files.items()
    ]
    answers = {f"/{DATASET}/resolve/{COMMIT}/en-fi/{name}": content for name, content in files.items()}
    return answers | {f"/api/{DATASET}/tree/{COMMIT}/en-fi": json.dumps(tree).encode()}


@pytest.fixture
def server(monkeypatch) -> Iterator[DownloadServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serving(hub()) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


def sources(folder, name: str = "talks", revision: str = COMMIT) -> BitextSources:
    return BitextSources(sources=[{"parallel_sentences": name, "revision": revision}], cache=folder)


def test_files_are_downloaded_resumed_and_packed(server, tmp_path, capsys):
    server.limit = 9_000
    message = failure(lambda: sources(tmp_path).read("fi"))
    target = tmp_path / "downloads" / "parallel_sentences" / "talks" / COMMIT[:12] / "en-fi"
    assert f"{PARTS[0]}: cannot be downloaded" in message
    assert message_text(message) == message  # nothing in it is hidden
    assert message.endswith(f"put it at {target / PARTS[0]}")
    assert f"its terms are on {server.address}/{DATASET}" in capsys.readouterr().out
    server.limit = 10**9
    bitext, report = sources(tmp_path).read("fi")
    assert list(zip(bitext.english, bitext.translations, strict=True)) == PAIRS
    assert all(COMMIT[:12] in name for name in report.read)
    resumed = [int(each.removeprefix("bytes=").rstrip("-")) for each in server.ranges if each]
    assert resumed[0] == 0
    assert 9_000 - downloads.CHUNK <= resumed[1] <= 9_000
    assert resumed[2] == 0
    for part in PARTS:
        (target / part).unlink()
    requests = len(server.ranges)
    assert len(sources(tmp_path).read("fi")[0]) == len(PAIRS)  # the packed pairs remain
    assert len(server.ranges) == requests


def test_a_file_of_another_size_is_refused(server, tmp_path):
    server.files[f"/{DATASET}/resolve/{COMMIT}/en-fi/{PARTS[1]}"] = table(PAIRS)
    message = failure(lambda: sources(tmp_path).read("fi"))
    assert f"{PARTS[1]}: cannot be downloaded (the server sends " in message


def test_without_a_network_the_message_says_which_files_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    target = tmp_path / "downloads" / "parallel_sentences" / "talks" / COMMIT[:12] / "en-fi"
    for offline in ("0", "1"):
        monkeypatch.setenv("HF_HUB_OFFLINE", offline)
        message = failure(lambda: sources(tmp_path).read("fi"))
        assert message.startswith(
            f"http://127.0.0.1:9/api/{DATASET}/tree/{COMMIT[:12]}/en-fi: cannot be downloaded"
        )
        assert message.endswith(f"put it at {target}/train-00000-of-NNNNN.parquet (and all other parts)")
    assert "HF_HUB_OFFLINE is set" in message
    target.mkdir(parents=True)
    (target / PARTS[0]).write_bytes(table(PAIRS[:3_000]))
    assert "cannot be downloaded" in failure(lambda: sources(tmp_path).read("fi"))  # one of two
    (target / PARTS[1]).write_bytes(table(PAIRS[3_000:]))
    assert len(sources(tmp_path).read("fi")[0]) == len(PAIRS)


def test_unknown_names_and_revisions_are_refused(server, tmp_path):
    assert "404" in failure(lambda: sources(tmp_path, "tallks").read("fi"))
    assert "404" in failure(lambda: sources(tmp_path).read("xx"))
    message = failure(lambda: sources(tmp_path, revision="main"))
    assert message.startswith("data.bitexts.sources[0].revision: 'main' is not a commit of 40")
    both = [{"parallel_sentences": "talks", "opus": "Books", "version": "v1", "revision": COMMIT}]
    assert "give either files, dataset, opus or parallel_sentences" in failure(
        lambda: BitextSources(sources=both)
    )


def test_parquet_files_of_your_own(tmp_path):
    (tmp_path / "fi.parquet").write_bytes(table([("one", "yksi"), (None, "kaksi"), ("three", "kolme")]))
    source = {"files": str(tmp_path / "{language}.parquet"), "english_field": "english"}
    assert "no column 'fi', only english, non_english" in failure(
        lambda: BitextSources(sources=[source], cache=tmp_path / "a").read("fi")
    )
    source["translation_field"] = "non_english"
    assert "fi.parquet:2: the field 'english' is not text" in failure(
        lambda: BitextSources(sources=[source], cache=tmp_path / "b").read("fi")
    )
    bitext, report = BitextSources(sources=[source], on_fault="skip", cache=tmp_path / "c").read("fi")
    assert (list(bitext.translations), report.faults) == (["yksi", "kolme"], {"fields": 1})
    (tmp_path / "fi.parquet").write_bytes(table([("one", "yksi")])[:-9])
    assert "fi.parquet: cannot be read as Parquet" in failure(
        lambda: BitextSources(sources=[source], cache=tmp_path / "d").read("fi")
    )
