"""Bitext from Parquet: one file, or a folder of files in the order of their names."""

from collections.abc import Iterator
from pathlib import Path

from optical_sweeps.corpora.readers.bitext import Pair, pair_of
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.errors import UserError, first_line

ROWS = 8192
"""Rows read at a time."""


def parquet_files(path: Path) -> list[Path]:
    """The files of a path: itself, or the Parquet files of a folder."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def parquet_pairs(path: Path, english_field: str, translation_field: str) -> Iterator[Pair | Fault]:
    """Pairs from two columns of text; with a dot, a field of a column, such as `translation.en`.

    Raises:
        UserError: a file is damaged, or lacks a column.
    """
    for file in parquet_files(path):
        yield from _file_pairs(file, english_field, translation_field)


def _file_pairs(path: Path, english_field: str, translation_field: str) -> Iterator[Pair | Fault]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            columns = {name.partition(".")[0] for name in (english_field, translation_field)}
            if missing := sorted(columns - set(file.schema_arrow.names)):
                raise UserError(
                    f"{path}: no column {missing[0]!r}, only {', '.join(file.schema_arrow.names)}; set "
                    "english_field and translation_field"
                )
            number = 0
            for batch in file.iter_batches(ROWS, columns=sorted(columns)):
                for row in batch.to_pylist():
                    number += 1
                    yield pair_of(path, number, row, english_field, translation_field)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({first_line(error)}); fetch it again") from None
