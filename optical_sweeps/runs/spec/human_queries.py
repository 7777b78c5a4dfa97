"""English queries written by people, which give the upper bound of a comparison."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from optical_sweeps.checks import check_file
from optical_sweeps.corpora.collections import Collection, Corpus, Documents, Split
from optical_sweeps.corpora.path_patterns import check_pattern
from optical_sweeps.corpora.readers.trec import read_topics
from optical_sweeps.errors import UserError

TITLES = "titles"
KEY = "human_queries"


def human_queries(corpus: Corpus, language: str, split: Split, source: str | None) -> tuple[str, ...]:
    """The English versions of a collection's queries, in their order.

    Args:
        source: files with an id and its English query per line, with `{language}` and `{split}` in their name;
            or `titles`, if queries are translations of titles: the title of a relevant document.

    Raises:
        UserError: there is no source, or a query has no English version.
    """
    collection = corpus.collection(language, split)
    if source is None:
        raise UserError(
            f"{KEY}: null, but bm25_human and teacher_human search with them; name files, such as "
            f"{KEY}='human/{{language}}.{{split}}.tsv', or leave those systems out of systems"
        )
    english = _titles(corpus, collection) if source == TITLES else _read(source, language, split)
    missing = [query for query in collection.queries.ids if query not in english]
    if missing:
        raise UserError(
            f"{KEY}: {len(missing)} of {len(collection.queries)} queries of {language} have no English, such "
            f"as {missing[0]}; add them"
        )
    return tuple(english[query] for query in collection.queries.ids)


def human_queries_file(source: str, language: str, split: Split) -> Path:
    """The file of English queries of a language and split."""
    check_pattern(KEY, source, {"language", "split"}, needs={"language"})
    return Path(source.format(language=language, split=split))


def _read(source: str, language: str, split: Split) -> Mapping[str, str]:
    path = human_queries_file(source, language, split)
    check_file(KEY, path, "name files with an id and its English per line")
    return read_topics(path)


def _titles(corpus: Corpus, collection: Collection) -> Mapping[str, str]:
    """The title of each query's relevant document: that of the best grade, then of the first id."""
    if not hasattr(corpus, "document_columns"):
        raise UserError(f"{KEY}: titles, but {corpus.name} does not know titles apart from texts; name files")
    # such corpora are dataclasses, which the protocol cannot say
    documents: Documents = dataclasses.replace(cast(Any, corpus), document_columns="title").documents()
    best = {
        query: min(grades, key=lambda document: (-grades[document], document))
        for query, grades in collection.qrels.items()
    }
    positions = documents.positions(best.values())
    return {query: documents.texts[positions[document]] for query, document in best.items()}
