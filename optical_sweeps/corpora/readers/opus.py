"""Corpora of OPUS (opus.nlpl.eu; Tiedemann 2012) by name."""

from pathlib import Path

from optical_sweeps.corpora.readers.downloads import fetch_file

OPUS = "https://object.pouta.csc.fi"
"""The server of OPUS's archives."""


def archive_path(corpus: str, version: str, pair: str, folder: Path) -> Path:
    """Where the Moses archive of a language pair, such as `de-en`, is or will be."""
    return folder / "opus" / corpus / version / f"{pair}.txt.zip"


def fetch_archive(corpus: str, version: str, pair: str, folder: Path) -> None:
    """Download the Moses archive of a language pair to its `archive_path`, unless it is there.

    Raises:
        UserError: there is no such archive, or it cannot be downloaded.
    """
    url = f"{OPUS}/OPUS-{corpus}/{version}/moses/{pair}.txt.zip"
    path = archive_path(corpus, version, pair, folder)
    fetch_file(url, path, f"the page of {corpus} at https://opus.nlpl.eu")
