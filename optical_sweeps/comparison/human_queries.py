"""English queries made by people, for the ceiling of a comparison."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optical_sweeps.corpora.collections import Collection, Documents
from optical_sweeps.corpora.readers.trec import read_topics
from optical_sweeps.corpora.settings import check_pattern
from optical_sweeps.errors import UserError

TITLES = "titles"
KEY = "human_queries"


def human_queries(corpus: Any, language: str, split: Any, source: str | None) -> tuple[str, ...]:
    """The English of a collection's queries, in their order.

    Args:
        source: files of an id and its English a line, with `{language}` and `{split}` in their name; or
            `titles`, where queries are translations of documents' titles: the title of a relevant document.

    Raises:
        UserError: there are none, or a query lacks one.
    """
    collection: Collection = corpus.collection(language, split)
    if source is None:
        raise UserError(
            f"{KEY}: null, but bm25_human and teacher_human search with them; name files, such as "
            f"{KEY}='human/{{language}}.{{split}}.tsv', or leave those systems out of systems"
        )
    found = _titles(corpus, collection) if source == TITLES else _read(source, language, split)
    missing = [query for query in collection.queries.ids if query not in found]
    if missing:
        raise UserError(
            f"{KEY}: {len(missing)} of {len(collection.queries)} queries of {language} have no English, such "
            f"as {missing[0]}; add them"
        )
    return tuple(found[query] for query in collection.queries.ids)


def _read(source: str, language: str, split: str) -> Mapping[str, str]:
    check_pattern(KEY, source, {"language", "split"}, needs={"language"})
    path = Path(source.format(language=language, split=split))
    if not path.is_file():
        raise UserError(f"{KEY}: there is no file {path}; name files of an id and its English a line")
    return read_topics(path)


def _titles(corpus: Any, collection: Collection) -> Mapping[str, str]:
    """Of several relevant documents, that of the best grade, then of the first id."""
    if not hasattr(corpus, "document_columns"):
        raise UserError(f"{KEY}: titles, but {corpus.name} does not know titles apart from texts; name files")
    documents: Documents = dataclasses.replace(corpus, document_columns="title").documents()
    best = {
        query: min(grades, key=lambda document: (-grades[document], document))
        for query, grades in collection.qrels.items()
    }
    places = documents.positions(best.values())
    return {query: documents.texts[places[document]] for query, document in best.items()}
