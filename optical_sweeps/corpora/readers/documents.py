"""Documents from a TSV file."""

from pathlib import Path

from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.errors import UserError


def read_documents(path: Path) -> dict[str, tuple[str, str]]:
    """Document id -> (title, text), from lines of `id <tab> title <tab> text` or `id <tab> text`.

    Title or text may be empty (without a title column the title is), but not both.

    Raises:
        UserError: another number of columns, an id that is empty or stands twice, a document without a word,
            or an unreadable file.
    """
    documents: dict[str, tuple[str, str]] = {}
    for number, line in read_lines(path):
        document, title, text = _fields(path, number, line)
        if document in documents:
            raise UserError(
                f"{path}:{number}: document id {document!r} stands twice; give each document its own id"
            )
        documents[document] = title, text
    return documents


def _fields(path: Path, number: int, line: str) -> tuple[str, str, str]:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in (2, 3):
        raise UserError(
            f"{path}:{number}: {len(fields)} columns where 3 are due (id, title, text) or 2 (id, text); "
            "separate them by one tab each and take tabs out of the texts"
        )
    document, title, text = fields if len(fields) == 3 else (fields[0], "", fields[1])
    if not document:
        raise UserError(f"{path}:{number}: the document id is empty; fill it or delete the line")
    if not title and not text:
        raise UserError(f"{path}:{number}: document {document!r} has no text; fill it or delete the line")
    return document, title, text
