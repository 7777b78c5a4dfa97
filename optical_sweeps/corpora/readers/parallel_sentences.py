"""The parallel sentences of sentence-transformers on the Hugging Face hub, by name.

Such a dataset has a folder for each language pair with English, with files like
`en-de/train-00000-of-00019.parquet` and the columns `english` and `non_english`.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote

from optical_sweeps.corpora.readers.downloads import TIMEOUT_SECONDS, fetch_file, refused_as
from optical_sweeps.errors import UserError

OWNER = "sentence-transformers"
PART = re.compile(r"train-\d{5}-of-(\d{5})\.parquet")
SHORT = 12
"""Digits of a commit in paths and messages, where 40 of them would be hidden like a key."""
ENGLISH_COLUMN, TRANSLATION_COLUMN = "english", "non_english"


def endpoint() -> str:
    """The server of the hub: `HF_ENDPOINT`, or the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def parts_folder(name: str, revision: str, language: str, folder: Path) -> Path:
    """Where the files of a language are or will be."""
    return folder / "parallel_sentences" / name / revision[:SHORT] / f"en-{language}"


def fetch_parts(name: str, revision: str, language: str, folder: Path) -> None:
    """Download the files of a language to its `parts_folder`, unless all are there.

    Args:
        name: of the dataset without its first words, such as `ccmatrix` or `talks`.
        revision: a commit.

    Raises:
        UserError: there is no such dataset, commit or language, or a file cannot be downloaded.
    """
    target = parts_folder(name, revision, language, folder)
    if _is_complete(target):
        return
    dataset = f"{OWNER}/parallel-sentences-{name}"
    page = f"{endpoint()}/datasets/{dataset}"
    for part, size in _part_sizes(dataset, revision, target).items():
        url, shown = (f"{page}/resolve/{r}/{target.name}/{part}" for r in (revision, revision[:SHORT]))
        fetch_file(url, target / part, page, size, shown)


def _is_complete(folder: Path) -> bool:
    """Whether a folder has as many files as their names state."""
    parts = [match for path in folder.glob("*.parquet") if (match := PART.fullmatch(path.name))]
    return bool(parts) and len(parts) == int(parts[0][1])


def _part_sizes(dataset: str, revision: str, target: Path) -> dict[str, int]:
    """The size of each file of a language, as the hub lists them."""
    import requests

    api = f"{endpoint()}/api/datasets/{dataset}/tree"
    url, shown = (f"{api}/{r}/{quote(target.name)}" for r in (revision, revision[:SHORT]))
    with refused_as(shown, target / "train-00000-of-NNNNN.parquet (and all other parts)"):
        if os.environ.get("HF_HUB_OFFLINE") == "1":
            raise OSError("HF_HUB_OFFLINE is set")
        response = requests.get(url, timeout=TIMEOUT_SECONDS)
        if response.status_code != requests.codes.ok:
            raise OSError(f"the hub answers {response.status_code} {response.reason}")
        entries = response.json()
    sizes = {Path(entry["path"]).name: int(entry["size"]) for entry in entries if entry["type"] == "file"}
    parts = {name: size for name, size in sorted(sizes.items()) if PART.fullmatch(name)}
    if not parts:
        raise UserError(f"{shown}: the hub lists no file of training pairs; check name, revision and language")
    return parts
