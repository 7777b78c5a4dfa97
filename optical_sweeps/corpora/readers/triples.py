"""Lines of triples: a query, a relevant document and negatives, as texts or as ids."""

from collections.abc import Iterator
from pathlib import Path

from optical_sweeps.corpora.readers.json_lines import is_json_lines
from optical_sweeps.corpora.readers.lines import columns, read_lines, usable
from optical_sweeps.corpora.well_formed import well_formed
from optical_sweeps.errors import UserError
from optical_sweeps.limits import parse_json

Fields = tuple[str, ...]
"""Query, positive, and at least one negative."""


def read_triples(path: Path) -> Iterator[Fields]:
    """Yield the fields of every line.

    TSV files have MS MARCO's layout, `query <tab> positive <tab> negative`, with texts or ids. JSON Lines (by
    the file's name) have ColBERT's layout, `[query, positive, negative, ...]` with ids; each document is an id
    or `[id, score]`.

    Raises:
        UserError: a line has another layout (with its number), or the file cannot be read.
    """
    if is_json_lines(path):
        for number, line in read_lines(path):
            yield _json_fields(path, number, line)
    else:
        for number, line in read_lines(path):
            yield tuple(usable(columns(path, number, line, ("query", "positive", "negative"))))


def _json_fields(path: Path, number: int, line: str) -> Fields:
    try:
        query, *documents = parse_json(line)
        fields = (query, *(entry[0] if isinstance(entry, list) else entry for entry in documents))
    except (ValueError, TypeError, IndexError, RecursionError):
        fields = ()
    are_ids = all(isinstance(field, int | str) and not isinstance(field, bool) for field in fields)
    fields = tuple(well_formed(str(field)) for field in fields)
    if len(fields) < 3 or not are_ids:
        raise UserError(
            f"{path}:{number}: not a triple; write [query id, id of a relevant document, id of another, ...]"
        )
    return fields
