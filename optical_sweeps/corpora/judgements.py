"""A test collection from topics, judgements and documents of independent sources.

Topics may be translations of another collection's, matched by query id, and documents may be in another
language, matched by document id. Ids that do not match are refused, or skipped and counted.
"""

from collections.abc import Mapping
from typing import Literal

from optical_sweeps.corpora.collections import Collection, Documents, Qrels, Queries, Split
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

OnMissing = Literal["refuse", "drop"]


def judged_collection(
    name: str,
    split: Split,
    documents: Documents,
    query_language: str,
    topics: Mapping[str, str],
    qrels: Qrels,
    on_missing: OnMissing = "refuse",
) -> Collection:
    """The topics that have a relevant document, in their order; no measure is defined on the others.

    Args:
        topics: query id -> text; topics without judgements are skipped.
        on_missing: what to do with judged queries that have no text and judged documents that do not exist:
            `refuse`, or `drop` and count them in `left_out`.

    Raises:
        UserError: something is missing and refused, or no query remains.
    """
    no_text = [query for query in qrels if not topics.get(query)]
    absent = documents.unknown({document for grades in qrels.values() for document in grades})
    if on_missing == "refuse":
        _refuse_missing(name, split, no_text, sorted(absent), len(documents))
    kept = {
        query: {document: grade for document, grade in grades.items() if document not in absent}
        for query, grades in qrels.items()
        if topics.get(query)
    }
    relevant = {query: grades for query, grades in kept.items() if any(grades.values())}
    if not relevant:
        raise UserError(f"{name} ({split}): no query with a text has a relevant document; check its sources")
    left_out = {
        "queries_without_text": len(no_text),
        "judged_documents_not_there": len(absent),
        "queries_without_relevant_document": len(kept) - len(relevant),
        "documents_with_a_repeated_id": documents.repeated,
    }
    return Collection(
        name,
        split,
        documents,
        Queries.from_texts(query_language, {query: topics[query] for query in topics if query in relevant}),
        relevant,
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def split_queries(qrels: Qrels, split: Split, dev_fraction: float) -> dict[str, Mapping[str, int]]:
    """The queries of one split where dev and test divide one set, by each query's own hash."""
    in_dev = {query: derive_seed(f"dev.{query}", 0) / 2**63 < dev_fraction for query in qrels}
    return {query: grades for query, grades in qrels.items() if in_dev[query] == (split == "dev")}


def sampled_queries(qrels: Qrels, count: int | None) -> dict[str, Mapping[str, int]]:
    """At most `count` queries, chosen by their hashes: a smaller sample is part of a larger one."""
    chosen = sorted(qrels, key=lambda query: (derive_seed(f"query.{query}", 0), query))[:count]
    return {query: qrels[query] for query in chosen} if count else dict(qrels)


def _refuse_missing(name: str, split: Split, no_text: list[str], absent: list[str], documents: int) -> None:
    if no_text:
        raise UserError(
            f"{name} ({split}): {len(no_text)} judged queries have no text, such as {no_text[0]!r}; correct "
            "the source, or set on_missing to drop"
        )
    if absent:
        raise UserError(
            f"{name} ({split}): {len(absent)} judged documents are not among its {documents}, such as "
            f"{absent[0]!r}; if the collection is incomplete fetch it again, or set on_missing to drop"
        )
