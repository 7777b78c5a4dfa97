"""Documents from TSV or JSON Lines."""

from collections.abc import Iterator
from pathlib import Path

from optical_sweeps.corpora.ids import check_id
from optical_sweeps.corpora.readers.json_lines import JsonObject, first_field, is_json_lines, read_objects
from optical_sweeps.corpora.readers.lines import read_lines, wrong_columns
from optical_sweeps.errors import UserError

ID_FIELDS = ("id", "_id", "docid", "doc_id")
TEXT_FIELDS = ("text", "contents", "body")


def read_documents(path: Path) -> dict[str, tuple[str, str]]:
    """Document id -> (title, text), from lines of `id <tab> title <tab> text` or `id <tab> text`.

    JSON Lines (a file named `.jsonl`, compressed or not) have the id under `id`, `_id`, `docid` or `doc_id` and
    the text under `text`, `contents` or `body`; `title` is optional. A document may be empty, as in the
    collections of providers: it is indexed like any other, so that every judged id is found.

    Raises:
        UserError: a wrong number of columns, a missing field, an id that is empty, contains white space or is
            repeated, or an unreadable file.
    """
    documents: dict[str, tuple[str, str]] = {}
    for number, document, title, text in iterate_documents(path):
        if document in documents:
            raise UserError(
                f"{path}:{number}: document id {document!r} is repeated; give each document a distinct id"
            )
        documents[document] = title, text
    return documents


def iterate_documents(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """(line number, id, title, text) of each document; like `read_documents`, but allows repeated ids."""
    for number, document, title, text in _rows(path):
        if not document:
            raise UserError(f"{path}:{number}: the document id is empty; fill it or delete the line")
        check_id(f"{path}:{number}", "document", document)
        yield number, document, title, text


def _rows(path: Path) -> Iterator[tuple[int, str, str, str]]:
    """(line number, id, title, text)."""
    if is_json_lines(path):
        for number, value in read_objects(path):
            yield number, *_object_fields(path, number, value)
    else:
        for number, line in read_lines(path):
            yield number, *_tsv_fields(path, number, line)


def _object_fields(path: Path, number: int, value: JsonObject) -> tuple[str, str, str]:
    document = first_field(path, number, value, ID_FIELDS)
    title = first_field(path, number, value, ("title",)) if value.get("title") is not None else ""
    return document, title, first_field(path, number, value, TEXT_FIELDS)


def _tsv_fields(path: Path, number: int, line: str) -> tuple[str, str, str]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in (2, 3):
        expected = "3 (id, title, text) or 2 (id, text) are expected"
        raise UserError(wrong_columns(f"{path}:{number}", line, len(fields), expected).message)
    return (fields[0], fields[1], fields[2]) if len(fields) == 3 else (fields[0], "", fields[1])
