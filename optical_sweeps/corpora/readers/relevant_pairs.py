"""English query-document pairs for the teacher, from a TSV file."""

from pathlib import Path

from optical_sweeps.corpora.collections import RelevantPair
from optical_sweeps.corpora.concepts import merge_concepts
from optical_sweeps.corpora.readers.lines import columns, read_lines, usable


def read_relevant_pairs(path: Path) -> tuple[RelevantPair, ...]:
    """Pairs from lines of `query <tab> document`.

    Raises:
        UserError: a line does not have two non-empty columns, or the file cannot be read.
    """
    names = ("query", "document")
    fields = [usable(columns(path, number, line, names)) for number, line in read_lines(path)]
    return with_concepts([(query, document) for query, document in fields])


def with_concepts(pairs: list[tuple[str, str]]) -> tuple[RelevantPair, ...]:
    """Pairs of (query, document) with concepts: pairs that share a query or a document have the same one."""
    width = len(str(len(pairs)))
    features = {
        f"{number:0{width}}": (("query", query.casefold()), ("document", document.casefold()))
        for number, (query, document) in enumerate(pairs)
    }
    concepts = merge_concepts(features)
    return tuple(
        RelevantPair(query, document, concept)
        for (query, document), concept in zip(pairs, concepts.values(), strict=True)
    )
