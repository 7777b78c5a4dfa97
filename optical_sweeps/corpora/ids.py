"""Ids of queries and documents: one word each, since white space parts the columns of TREC's files."""

from collections.abc import Iterable, Sequence

from optical_sweeps.corpora.collections import Collection
from optical_sweeps.errors import UserError

_STRETCH = 4096


def check_id(where: str, kind: str, name: str) -> None:
    """Refuse an id that no TREC file can carry.

    Raises:
        UserError: it is empty or holds white space.
    """
    if name.split() != [name]:
        raise UserError(
            f"{where}: the {kind} id {name!r} is empty or holds white space, which parts the columns of TREC's "
            "files; write ids as one word each"
        )


def check_ids(collections: Iterable[Collection]) -> None:
    """Refuse collections whose rankings could not be written; documents that several share are read once.

    Raises:
        UserError: as `check_id`.
    """
    seen: dict[int, object] = {}
    for collection in collections:
        where = f"{collection.name}, {collection.query_language}"
        _check_all(where, "query", collection.queries.ids)
        if id(collection.documents) not in seen:
            seen[id(collection.documents)] = collection.documents  # held, so that no other takes its place
            _check_all(where, "document", collection.documents.ids)


def _check_all(where: str, kind: str, ids: Sequence[str]) -> None:
    plain = getattr(ids, "are_plain", None)  # what lies on disk tells without reading each
    if plain is not None and plain():
        return
    for start in range(0, len(ids), _STRETCH):
        names = ids[start : start + _STRETCH]
        if " ".join(names).split() != list(names):
            for name in names:
                check_id(where, kind, name)
