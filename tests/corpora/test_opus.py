"""Corpora of OPUS by name, from a local server that breaks off, and the messages without one."""

import io
import zipfile
from collections.abc import Iterator

import pytest

from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.readers import downloads, opus
from tests.support.download_server import DownloadServer, serving
from tests.support.user_errors import failure

PAIRS = [(f"line {number} of the corpus", f"rivi {number}") for number in range(2_000)]


def archive() -> bytes:
    """An archive with the layout of OPUS."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as file:
        file.writestr("README", "# Corpus Name: Books\n")
        file.writestr("LICENSE", "see the page of the corpus\n")
        file.writestr("Books.en-fi.en", "".join(f"{english}\n" for english, _ in PAIRS))
        file.writestr("Books.en-fi.fi", "".join(f"{finnish}\n" for _, finnish in PAIRS))
        file.writestr("Books.en-fi.xml", "<cesAlign/>\n")
    return content.getvalue()


@pytest.fixture
def server(monkeypatch) -> Iterator[DownloadServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving({"/OPUS-Books/v1/moses/en-fi.txt.zip": archive()}) as server:
        monkeypatch.setattr(opus, "OPUS", server.address)
        yield server


def sources(folder, name: str = "Books") -> BitextSources:
    return BitextSources(sources=[{"opus": name, "version": "v1"}], cache=folder)


def test_a_broken_download_is_resumed_and_the_pairs_are_packed(server, tmp_path):
    server.limit = len(archive()) // 2
    message = failure(lambda: sources(tmp_path).read("fi"))
    assert "en-fi.txt.zip: cannot be downloaded" in message
    assert message.endswith(f"put it at {tmp_path}/downloads/opus/Books/v1/en-fi.txt.zip")
    server.limit = 10**9
    bitext, report = sources(tmp_path).read("fi")
    assert list(zip(bitext.english, bitext.translations, strict=True)) == PAIRS
    assert sum(report.read.values()) == len(PAIRS)
    first, second = (int(each.removeprefix("bytes=").rstrip("-")) for each in server.ranges)
    assert first == 0
    assert len(archive()) // 2 - downloads.CHUNK <= second <= len(archive()) // 2
    (tmp_path / "downloads/opus/Books/v1/en-fi.txt.zip").unlink()
    assert len(sources(tmp_path).read("fi")[0]) == len(PAIRS)  # the packed pairs remain
    assert len(server.ranges) == 2


def test_a_file_that_was_put_there_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(opus, "OPUS", "http://127.0.0.1:9")
    path = tmp_path / "downloads/opus/Books/v1/en-fi.txt.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(archive())
    assert len(sources(tmp_path).read("fi")[0]) == len(PAIRS)


def test_a_complete_part_and_a_changed_file(server, tmp_path):
    part = tmp_path / "downloads/opus/Books/v1/.en-fi.txt.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(archive() + b"more")
    assert "has changed" in failure(lambda: sources(tmp_path).read("fi"))
    part.write_bytes(archive())
    assert len(sources(tmp_path).read("fi")[0]) == len(PAIRS)


def test_unknown_corpora_and_bad_names(server, tmp_path):
    assert "404" in failure(lambda: sources(tmp_path, "Boks").read("fi"))
    assert "'../x' is not the name of a corpus" in failure(lambda: sources(tmp_path, "../x"))
    without = failure(lambda: BitextSources(sources=[{"opus": "Books"}]))
    assert without.startswith("data.bitexts.sources[0].version: opus and version belong together")
