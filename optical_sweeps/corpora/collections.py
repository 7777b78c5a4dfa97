"""Test collections: documents, queries and qrels, each from its own source, and the interface of a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from optical_sweeps.corpora.bitext import Bitext

Split = Literal["dev", "test"]
Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> document id -> relevance grade (0 and absent: not relevant)."""


@dataclass(frozen=True)
class Documents:
    """Documents of one language, in collection order."""

    language: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Queries:
    """Queries (topics) of one language."""

    language: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Collection:
    """Queries of one language over documents of another, with relevance judgements.

    Raises:
        ValueError: qrels name a query or a document that the collection does not hold.
    """

    name: str
    split: Split
    documents: Documents
    queries: Queries
    qrels: Qrels

    def __post_init__(self) -> None:
        judged = {document for grades in self.qrels.values() for document in grades}
        for kind, unknown in (
            ("query", self.qrels.keys() - set(self.queries.ids)),
            # no set of all documents: there may be millions of them, and a run has a collection per language
            ("document", judged.difference(self.documents.ids)),
        ):
            if unknown:
                raise ValueError(f"collection {self.name}: qrels name an unknown {kind} {min(unknown)!r}")


@dataclass(frozen=True)
class RelevantPair:
    """A query and a document relevant to it, in the high-resource language: what a teacher learns from.

    `concept` marks pairs that must not serve as each other's in-batch negatives.
    """

    query: str
    document: str
    concept: str


@runtime_checkable
class Corpus(Protocol):
    """All text of a study: bitext to distil on, collections to search, pairs to train a teacher on.

    Construction is cheap and checks every setting; texts are read at first use. Anything wrong raises
    `optical_sweeps.errors.UserError`, naming file and line where there is one.
    """

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages with bitext and queries (English, the teacher's, is not among them)."""
        ...

    def fingerprint(self) -> str:
        """A hash of everything this corpus can return."""
        ...

    def bitext(self, language: str) -> Bitext:
        """The training pairs of one language."""
        ...

    def documents(self) -> Documents:
        """The documents, the same for every query language and split."""
        ...

    def collection(self, language: str, split: Split) -> Collection: ...

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """English query-document pairs disjoint from dev and test."""
        ...
