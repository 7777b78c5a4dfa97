"""Corpora of OPUS by name, from a local server that breaks off, and the messages without one."""

import io
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import pytest

from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.readers import opus
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


class Server(ThreadingHTTPServer):
    """Serves the archive; an answer ends after `limit` bytes."""

    files: Mapping[str, bytes] = MappingProxyType({"/OPUS-Books/v1/moses/en-fi.txt.zip": archive()})
    limit = 10**9
    ranges: list[str]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.server.ranges.append(self.headers["Range"])
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + self.server.limit])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.ranges = []
    monkeypatch.setattr(opus, "OPUS", f"http://127.0.0.1:{server.server_port}")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


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
    assert len(archive()) // 2 - opus.CHUNK <= second <= len(archive()) // 2
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
    assert "'../x' is not a name of OPUS" in failure(lambda: sources(tmp_path, "../x"))
    without = failure(lambda: BitextSources(sources=[{"opus": "Books"}]))
    assert without.startswith("data.bitexts.sources[0].version: opus and version belong together")
