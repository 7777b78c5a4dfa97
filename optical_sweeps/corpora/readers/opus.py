"""Corpora of OPUS (opus.nlpl.eu; Tiedemann 2012) by name: downloaded once, resumed after a break."""

from pathlib import Path

from filelock import FileLock

from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError, first_line

OPUS = "https://object.pouta.csc.fi"
"""The server of OPUS's archives."""
TIMEOUT_SECONDS = 60
CHUNK = 1 << 14
"""Bytes written at a time; what arrived of the last ones before a break is lost."""


def archive_path(corpus: str, version: str, pair: str, folder: Path) -> Path:
    """Where the Moses archive of a language pair, such as `de-en`, is or will be."""
    return folder / "opus" / corpus / version / f"{pair}.txt.zip"


def fetch_archive(corpus: str, version: str, pair: str, folder: Path) -> None:
    """Download the Moses archive of a language pair to its `archive_path`, unless it is there.

    Raises:
        UserError: there is no such archive, or it cannot be downloaded.
    """
    import requests

    path = archive_path(corpus, version, pair, folder)
    if path.is_file():
        return
    url = f"{OPUS}/OPUS-{corpus}/{version}/moses/{pair}.txt.zip"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.is_file():
                echo(f"{url}: downloading; its terms are on the page of {corpus} at https://opus.nlpl.eu")
                download(url, path)
    except (requests.RequestException, OSError) as error:
        raise UserError(
            f"{url}: cannot be downloaded ({first_line(error)}); fetch the file elsewhere and put it at {path}"
        ) from None


def download(url: str, path: Path) -> None:
    """Download a file, from where an earlier attempt ended, and check its size.

    Raises:
        RequestException, OSError: the server cannot be reached or has no such file, or the size is wrong.
    """
    import requests

    part = path.with_name(f".{path.name}.part")
    start = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:  # complete, or changed
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            if total == str(start):
                part.rename(path)
                return
            part.unlink()
            raise OSError("the file on the server has changed; try again")
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0  # the server sends the whole file
        total_size = start + int(response.headers.get("Content-Length", 0))
        with part.open("ab" if start else "wb") as file, progress(path.name) as advance:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                advance(file.tell(), total_size)
            size = file.tell()
    if size != total_size:
        raise OSError(f"{size} of {total_size} bytes arrived; run the command again to continue")
    part.rename(path)
