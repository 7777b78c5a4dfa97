"""Texts of queries and of relevant documents for the report, from the corpus of a run's config."""

from collections.abc import Callable, Sequence

from optical_sweeps.corpora.collections import unperturbed
from optical_sweeps.errors import UserError
from optical_sweeps.report.query_scores import Texts
from optical_sweeps.report.sweep_runs import SweepRun
from optical_sweeps.runs.spec.corpus_section import corpus_content, corpus_of


def query_texts(
    run: SweepRun, queries: Sequence[tuple[str, str]], split: str, warn: Callable[[str], None]
) -> Texts:
    """The text of each query and of its most relevant document.

    Args:
        queries: (language, query id).
        warn: called with one line if the corpus is not available or has changed since the run; the result is
            then empty.
    """
    settings = run.record["config"]["data"]
    try:
        if corpus_content(settings) != run.record.get("facts", {}).get("corpus"):
            warn("report: the corpus has changed since these runs; queries are shown by their ids")
            return {}
        corpus = corpus_of(settings)
        texts: dict[tuple[str, str], tuple[str, str]] = {}
        for language in dict.fromkeys(language for language, _ in queries):
            collection = corpus.collection(language, unperturbed(split))
            best = {
                query: max(grades, key=lambda id: (grades[id], id))
                for query, grades in collection.qrels.items()
            }
            positions = collection.documents.positions(best.values())
            for query, text in zip(collection.queries.ids, collection.queries.texts, strict=True):
                position = positions.get(best.get(query, ""))
                document = "" if position is None else collection.documents.texts[position]
                texts[language, query] = (text, document)
    except (UserError, OSError) as error:
        warn(f"report: no corpus for the texts of queries ({error}); they are shown by their ids")
        return {}
    return texts


def no_query_texts(run: SweepRun, queries: Sequence[tuple[str, str]]) -> Texts:
    """No texts, for collections that must not be passed on."""
    return {}
