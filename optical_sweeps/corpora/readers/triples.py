"""Lines of triples: a query, a relevant document, and documents that are not; as texts or as ids."""

import json
from collections.abc import Iterator
from pathlib import Path

from optical_sweeps.corpora.readers.json_lines import is_json_lines
from optical_sweeps.corpora.readers.lines import columns, read_lines
from optical_sweeps.errors import UserError

Fields = tuple[str, ...]
"""Query, positive, and at least one negative."""


def read_triples(path: Path) -> Iterator[Fields]:
    """The fields of every line, one line at a time.

    TSV as MS MARCO's: `query <tab> positive <tab> negative`, of texts or of ids. JSON Lines (by the file's
    ending) as ColBERT's: `[query, positive, negative, ...]` of ids, each document alone or as `[id, score]`.

    Raises:
        UserError: a line of another form (with its number), or an unreadable file.
    """
    if is_json_lines(path):
        for number, line in read_lines(path):
            yield _listed(path, number, line)
    else:
        for number, line in read_lines(path):
            yield tuple(columns(path, number, line, ("query", "positive", "negative")))


def _listed(path: Path, number: int, line: str) -> Fields:
    try:
        value = json.loads(line)
        query, *documents = value
        fields = (query, *(entry[0] if isinstance(entry, list) else entry for entry in documents))
    except (ValueError, TypeError, IndexError, RecursionError):
        fields = ()
    sound = all(isinstance(field, int | str) and not isinstance(field, bool) for field in fields)
    if len(fields) < 3 or not sound:
        raise UserError(
            f"{path}:{number}: no triple; write [query id, id of a relevant document, id of another, ...]"
        )
    return tuple(map(str, fields))
