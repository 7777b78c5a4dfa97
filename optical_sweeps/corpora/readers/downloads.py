"""Files of published corpora: downloaded once, resumed after a break, checked by their size."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError, first_line

TIMEOUT_SECONDS = 60
CHUNK = 1 << 14
"""Bytes written at a time; what arrived of the last ones before a break is lost."""


def fetch_file(url: str, path: Path, terms: str, size: int | None = None, name: str | None = None) -> None:
    """Download a file to `path`, unless it is there; one of several processes downloads it.

    Args:
        name: of the file in messages, instead of its address.
        terms: where its terms of use are, for the message.
        size: its size in bytes, if it is known.

    Raises:
        UserError: it cannot be downloaded; the message says where to put a copy.
    """
    if path.is_file():
        return
    with refused_as(name or url, path), FileLock(_lock(path)):
        if not path.is_file():
            echo(f"{name or url}: downloading; its terms are on {terms}")
            download(url, path, size)


@contextmanager
def refused_as(name: str, path: Path) -> Iterator[None]:
    """Turn errors of the network and of files into a message that says where to put a copy."""
    import requests

    try:
        yield
    except (requests.RequestException, OSError) as error:
        raise UserError(
            f"{name}: cannot be downloaded ({first_line(error)}); fetch the file elsewhere and put it at {path}"
        ) from None


def download(url: str, path: Path, size: int | None = None) -> None:
    """Download a file, from where an earlier attempt ended, and check its size.

    Args:
        size: the size that it must have, if it is known; otherwise the server states it.

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
            if total == str(start) and size in (None, start):
                part.rename(path)
                return
            part.unlink()
            raise OSError("the file on the server has changed; try again")
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0  # the server sends the whole file
        total_size = start + int(response.headers.get("Content-Length", 0))
        if size is not None and total_size != size:
            raise OSError(f"the server sends {total_size} bytes instead of {size}")
        with part.open("ab" if start else "wb") as file, progress(path.name) as advance:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                advance(file.tell(), total_size)
            written = file.tell()
    if written != total_size:
        raise OSError(f"{written} of {total_size} bytes arrived; run the command again to continue")
    part.rename(path)


def _lock(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.lock")
