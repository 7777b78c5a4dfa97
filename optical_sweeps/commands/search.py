"""`search`: show the passages and matched tokens that a student finds for queries."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from omegaconf import DictConfig

from optical_sweeps.checks import Count
from optical_sweeps.commands.arguments import BYTE_ORDER_MARK, STANDARD_INPUT, add_json, free_text
from optical_sweeps.console import echo, echo_json, progress
from optical_sweeps.corpora.languages import chosen_language
from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.errors import UserError
from optical_sweeps.runs.finished_run import check_source
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.settings import build, from_root, settings

if TYPE_CHECKING:
    from optical_sweeps.inspection.matched_tokens import SearchResult

MAX_CHARACTERS = 300
"""Longer passages are shortened on a terminal."""


@settings("")
class SearchSettings:
    """See conf/search.yaml."""

    k: Count = 10
    query_encoder: Literal["student", "teacher"] = "student"
    language: str | None = None


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--query", metavar="TEXT", help="one query; - reads it from standard input")
    parser.add_argument(
        "--queries", metavar="FILE",
        help="a file of queries: a text per line, or an id, a tab and a text; - is standard input",
    )  # fmt: skip
    add_json(parser)


def run(
    config: DictConfig,
    run: Path | None,
    query: str | None = None,
    queries: str | None = None,
    as_json: bool = False,
) -> None:
    """Encode the queries, search, and print passages with scores and matched tokens."""
    content = {**resolved(config), "run": run}
    search = from_root(SearchSettings, content)
    check_source(content)
    texts = read_queries(query, queries)
    with progress("loading"):
        from optical_sweeps.inspection.matched_tokens import search_passages
        from optical_sweeps.retrieval.search_settings import PrunedSearch, RerankSearch
        from optical_sweeps.runs.distillation.query_encoders import load_encoders

    how = build("search", content["search"])
    if isinstance(how, RerankSearch):
        raise UserError("search: rerank has candidates for a collection's own queries; choose exact or pruned")
    encoders = load_encoders(content)
    corpus = encoders.corpus
    if search.language is None:
        documents = corpus.documents()
    else:
        documents = corpus.collection(
            chosen_language("language", search.language, corpus.languages), "dev"
        ).documents
    by_teacher = search.query_encoder == "teacher" and encoders.teacher is not None
    query_encoder = encoders.teacher if by_teacher and encoders.teacher else encoders.queries
    index = encoders.index_of(documents)
    pruned = (encoders.pruned_of(documents, how), how) if isinstance(how, PrunedSearch) else None
    passages = search_passages(texts, query_encoder, encoders.documents, documents, index, search.k, pruned)
    for result in passages:
        if as_json:
            echo_json(asdict(result))
        else:
            _print(result)


def read_queries(query: str | None, queries: str | None) -> list[tuple[str, str]]:
    """(id, text) of one query or of the lines of a file; exactly one argument is given.

    Raises:
        UserError: neither or both, an unreadable file, or no query.
    """
    if query is not None and queries is None:
        text = (
            sys.stdin.read().removeprefix(BYTE_ORDER_MARK).strip("\r\n") if query == STANDARD_INPUT else query
        )
        return [("query", free_text("--query", text))]
    if queries is None or query is not None:
        raise UserError("--query, --queries: give one of them: --query TEXT, or --queries FILE")
    lines: Iterable[tuple[int, str]]
    if queries == STANDARD_INPUT:
        lines = enumerate((line.removeprefix(BYTE_ORDER_MARK).rstrip("\r\n") for line in sys.stdin), start=1)
    else:
        lines = _file_lines(Path(queries))
    pairs = []
    for number, line in lines:
        name, tab, text = line.partition("\t")
        if line.strip():
            where = f"--queries: line {number}"
            pairs.append((name, free_text(where, text)) if tab else (str(number), free_text(where, line)))
    if not pairs:
        raise UserError(f"--queries: {queries}: no query in it; write one per line")
    return pairs


def _file_lines(path: Path) -> list[tuple[int, str]]:
    try:
        return list(read_lines(path))
    except UserError as error:
        raise UserError(f"--queries: {error}") from None


def _print(result: "SearchResult") -> None:
    echo(f"{result.id}: {result.query}")
    if not result.passages:
        echo("  nothing found")
    for passage in result.passages:
        text = " ".join(passage.text.split())
        echo(f"{passage.rank:>4}. {passage.score:.3f}  {passage.id}")
        echo(f"      {text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + '…'}")
        matches = (f"{match.query}~{match.document} {match.similarity:.2f}" for match in passage.matches)
        echo(f"      {'  '.join(matches)}")
    echo()
