"""Bitext from datasets of the Hugging Face hub, by the optional package `datasets`; no dataset code is run."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optical_sweeps.corpora.readers.bitext import Pair, pair_of
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.errors import UserError, first_line


def hub_pairs(
    name: str, subset: str | None, split: str, revision: str | None, english_field: str, translation_field: str
) -> Iterator[Pair | Fault]:
    """Pairs from the rows of a dataset, in their order; fields by dotted names, such as `translation.en`.

    Args:
        name: `owner/name` on the hub, or a local folder of Parquet, JSON or CSV files.
        subset: the dataset's configuration, where it has several.
        revision: a commit makes the rows reproducible.

    Raises:
        UserError: the package is missing, or the dataset cannot be had.
    """
    rows = _load(name, subset, split, revision)
    for number, row in enumerate(rows, start=1):
        yield pair_of(Path(name), number, row, english_field, translation_field)


def _load(name: str, subset: str | None, split: str, revision: str | None) -> Any:
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError:
        raise UserError(
            f"{name}: reading from the hub needs a package of its own; pip install datasets"
        ) from None
    try:
        return datasets.load_dataset(name, subset, split=split, revision=revision)
    except Exception as error:  # its own kinds, requests', pyarrow's and ValueError: all are about this dataset
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise UserError(
            f"{name}: cannot be loaded from the hub{offline}: {first_line(error)}; check name, subset, split "
            "and revision, and accept its terms on its page if it is gated"
        ) from None
