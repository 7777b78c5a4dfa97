"""A test collection put together from topics, judgements and documents of independent sources.

Topics may be translations laid over another collection's by query id, documents another language's by document
id. What does not match is refused, or left out and counted.
"""

from collections.abc import Mapping
from dataclasses import replace

from optical_sweeps.corpora.collections import Collection, Documents, Qrels, Queries, Split
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

ON_MISSING = ("refuse", "drop")


def judged_collection(
    name: str,
    split: Split,
    documents: Documents,
    query_language: str,
    topics: Mapping[str, str],
    qrels: Qrels,
    on_missing: str = "refuse",
) -> Collection:
    """The topics that have a relevant document, in their order; no measure is defined on the others.

    Args:
        topics: query id -> text; those without judgements are passed over.
        on_missing: what becomes of judged queries without a text, and of judged documents that are not there:
            `refuse`, or `drop` and count them in `left_out`.

    Raises:
        UserError: something is missing and refused, or no query is left.
    """
    no_text = [query for query in qrels if not topics.get(query)]
    absent = documents.unknown({document for grades in qrels.values() for document in grades})
    if on_missing == "refuse":
        _refuse(name, split, no_text, sorted(absent), len(documents))
    kept = {
        query: {document: grade for document, grade in grades.items() if document not in absent}
        for query, grades in qrels.items()
        if topics.get(query)
    }
    relevant = {query: grades for query, grades in kept.items() if any(grades.values())}
    if not relevant:
        raise UserError(f"{name} ({split}): no query with a text has a relevant document; check its sources")
    ids = [query for query in topics if query in relevant]
    left_out = {
        "queries_without_text": len(no_text),
        "judged_documents_not_there": len(absent),
        "queries_without_relevant_document": len(kept) - len(relevant),
    }
    return Collection(
        name,
        split,
        documents,
        Queries(query_language, tuple(ids), tuple(topics[query] for query in ids)),
        relevant,
        left_out={what: count for what, count in left_out.items() if count},
    )


def lay_over(
    collection: Collection,
    *,
    topics: Mapping[str, str] | None = None,
    query_language: str | None = None,
    documents: Documents | None = None,
    on_missing: str = "refuse",
) -> Collection:
    """`collection` with other texts for its queries, by id, or other documents, by id; judgements stay.

    Raises:
        UserError: as `judged_collection`.
    """
    own = dict(zip(collection.queries.ids, collection.queries.texts, strict=True))
    laid = judged_collection(
        collection.name,
        collection.split,
        collection.documents if documents is None else documents,
        query_language or collection.query_language,
        own if topics is None else topics,
        collection.qrels,
        on_missing,
    )
    return replace(laid, left_out={**collection.left_out, **laid.left_out})


def divided(qrels: Qrels, split: Split, dev_fraction: float) -> dict[str, Mapping[str, int]]:
    """The queries of one split, where dev and test share one set: by each query's own hash."""
    in_dev = {query: derive_seed(f"dev.{query}", 0) / 2**63 < dev_fraction for query in qrels}
    return {query: grades for query, grades in qrels.items() if in_dev[query] == (split == "dev")}


def at_most(qrels: Qrels, count: int | None) -> dict[str, Mapping[str, int]]:
    """So many queries, by their own hashes: fewer are a part of more."""
    chosen = sorted(qrels, key=lambda query: (derive_seed(f"query.{query}", 0), query))[:count]
    return {query: qrels[query] for query in chosen} if count else dict(qrels)


def _refuse(name: str, split: Split, no_text: list[str], absent: list[str], documents: int) -> None:
    remedy = "; mend the source, or set on_missing to drop"
    if no_text:
        raise UserError(
            f"{name} ({split}): {len(no_text)} judged queries have no text, such as {no_text[0]!r}{remedy}"
        )
    if absent:
        raise UserError(
            f"{name} ({split}): {len(absent)} judged documents are not among its {documents}, such as "
            f"{absent[0]!r}; if the collection is incomplete fetch it again, or set on_missing to drop"
        )
