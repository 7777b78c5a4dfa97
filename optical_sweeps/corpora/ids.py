"""Ids of queries and documents: one word each, since white space separates the columns of TREC files."""

from collections.abc import Iterable, Sequence

from optical_sweeps.corpora.collections import Collection
from optical_sweeps.errors import UserError

_BLOCK = 4096


def check_id(where: str, kind: str, name: str) -> None:
    """Refuse an id that cannot be written to a TREC file.

    Raises:
        UserError: it is empty or contains white space.
    """
    if name.split() != [name]:
        raise UserError(
            f"{where}: the {kind} id {name!r} is empty or contains white space, which separates the columns of "
            "TREC files; write ids as one word each"
        )


def check_ids(collections: Iterable[Collection]) -> None:
    """Refuse collections whose rankings could not be written; documents that several share are read once.

    Raises:
        UserError: as in `check_id`.
    """
    checked: dict[int, object] = {}
    for collection in collections:
        where = f"{collection.name}, {collection.query_language}"
        _check_all(where, "query", collection.queries.ids)
        if id(collection.documents) not in checked:
            checked[id(collection.documents)] = collection.documents  # a reference, or its id could be reused
            _check_all(where, "document", collection.documents.ids)


def _check_all(where: str, kind: str, ids: Sequence[str]) -> None:
    are_plain = getattr(ids, "are_plain", None)  # packed ids check their bytes without decoding
    if are_plain is not None and are_plain():
        return
    for start in range(0, len(ids), _BLOCK):
        names = ids[start : start + _BLOCK]
        if " ".join(names).split() != list(names):
            for name in names:
                check_id(where, kind, name)
