"""TREC qrels, and topics with tags, as TSV or JSON Lines."""

import re
from collections.abc import Container, Iterator
from pathlib import Path

from optical_sweeps.corpora.ids import check_id
from optical_sweeps.corpora.readers.json_lines import first_field, is_json_lines, read_objects
from optical_sweeps.corpora.readers.lines import columns, read_lines, usable
from optical_sweeps.corpora.readers.trec_topics import has_tags, tagged_topics
from optical_sweeps.errors import UserError
from optical_sweeps.terminal_text import count_text


def read_qrels(path: Path, queries: Container[str], documents: Container[str]) -> dict[str, dict[str, int]]:
    """Query id -> document id -> grade, from lines of `query iteration document grade`.

    Negative grades, which TREC uses for junk, become 0.

    Raises:
        UserError: a line does not have four columns, a grade is not a whole number, a query or document is
            unknown, a document is judged twice, or the file cannot be read.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        fields = line.split()
        if len(fields) != 4:
            if not fields:
                raise UserError(f"{where}: the line is empty; delete it")
            raise UserError(
                f"{where}: {count_text(len(fields), 'column')} where 4 are expected (query, "
                "iteration, document, grade); write TREC qrels"
            )
        query, _, document, grade = fields
        if query not in queries:
            raise UserError(f"{where}: unknown query {query!r}; add it to the queries or delete the line")
        if document not in documents:
            raise UserError(
                f"{where}: unknown document {document!r}; add it to the documents or delete the line"
            )
        if not re.fullmatch(r"[+-]?[0-9]+", grade):
            raise UserError(f"{where}: the grade {grade!r} is not a whole number; write 0, 1, 2, ...")
        grades = qrels.setdefault(query, {})
        if document in grades:
            raise UserError(f"{where}: document {document!r} is judged twice for query {query!r}; keep one")
        grades[document] = max(int(grade), 0)
    return qrels


def read_topics(path: Path) -> dict[str, str]:
    """Query id -> text, from lines of `id <tab> text`, topics with tags (see `trec_topics`), or JSON Lines.

    JSON Lines (by the file's name) have the id under `id`, `_id`, `query_id` or `qid`, and the text under
    `text`, `query`, `question` or `title`.

    Raises:
        UserError: another format, a missing id or text, an id that contains white space or is repeated, or an
            unreadable file.
    """
    topics: dict[str, str] = {}
    for number, query, text in _topics(path):
        check_id(f"{path}:{number}", "query", query)
        if query in topics:
            raise UserError(f"{path}:{number}: query id {query!r} is repeated; give each query a distinct id")
        topics[query] = text
    return topics


def _topics(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, id, text)."""
    if is_json_lines(path):
        return _json_topics(path)
    lines = list(read_lines(path))
    text = "\n".join(line for _, line in lines)
    return tagged_topics(path, text) if has_tags(text) else _tsv_topics(path, lines)


def _json_topics(path: Path) -> Iterator[tuple[int, str, str]]:
    for number, value in read_objects(path):
        query = first_field(path, number, value, ("id", "_id", "query_id", "qid"))
        text = first_field(path, number, value, ("text", "query", "question", "title"))
        if not query or not text:
            raise UserError(f"{path}:{number}: the query id or its text is empty; fill it or delete the line")
        yield number, query, text


def _tsv_topics(path: Path, lines: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    for number, line in lines:
        query, text = usable(columns(path, number, line, ("query id", "text")))
        yield number, query, text
