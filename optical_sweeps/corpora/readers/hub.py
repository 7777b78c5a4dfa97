"""Bitext from datasets of the Hugging Face hub, through the optional package `datasets`.

No code of the dataset is executed.
"""

import importlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from optical_sweeps.corpora.readers.bitext import Pair, pair_of
from optical_sweeps.corpora.readers.json_lines import JsonObject
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.errors import UserError, first_line


def hub_pairs(
    name: str, subset: str | None, split: str, revision: str | None, english_field: str, translation_field: str
) -> Iterator[Pair | Fault]:
    """Pairs from the rows of a dataset, in order; fields are dotted names such as `translation.en`.

    Args:
        name: `owner/name` on the hub, or a local folder of Parquet, JSON or CSV files.
        subset: the dataset's configuration, if it has several.
        revision: a commit, which makes the rows reproducible.

    Raises:
        UserError: the package is missing, or the dataset cannot be loaded.
    """
    for number, row in enumerate(_load(name, subset, split, revision), start=1):
        yield pair_of(Path(name), number, row, english_field, translation_field)


def _load(name: str, subset: str | None, split: str, revision: str | None) -> Iterable[JsonObject]:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise UserError(f"{name}: reading from the hub needs an extra package; pip install datasets") from None
    try:
        rows: Iterable[JsonObject] = datasets.load_dataset(name, subset, split=split, revision=revision)
    except Exception as error:  # its own exceptions, requests', pyarrow's and ValueError
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise UserError(
            f"{name}: cannot be loaded from the hub{offline}: {first_line(error)}; check name, subset, split "
            "and revision, and accept its terms on its page if it is gated"
        ) from None
    return rows
