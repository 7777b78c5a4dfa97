"""Test collections (documents, queries, qrels) and the protocols of their sources and of a corpus."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast, runtime_checkable

from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts

Split = Literal["dev", "test"]
SPLITS: tuple[Split, ...] = ("dev", "test")
PERTURBED = "+"
"""Separates a split from the perturbation of its queries in the names of scores: `test+typing@0.1`."""
Qrels = Mapping[str, Mapping[str, int]]
"""Query id -> document id -> relevance grade; 0 or absent means not relevant."""


def unperturbed(split: str) -> Split:
    """The split of the corpus behind a split of scores.

    >>> unperturbed("test+typing@0.1"), unperturbed("dev")
    ('test', 'dev')
    """
    return cast(Split, split.partition(PERTURBED)[0])


@dataclass(frozen=True)
class Documents:
    """Documents of one language, in collection order.

    Ids and texts are tuples or sequences on disk (see `packed`). Read a collection of unknown size by iteration
    or in slices.

    Args:
        known_fingerprint: the fingerprint of the content, if it was computed before.
        repeated: number of documents that were skipped because their ids were repeated.
    """

    language: str
    ids: Sequence[str]
    texts: Sequence[str]
    known_fingerprint: str | None = field(default=None, repr=False, compare=False)
    repeated: int = field(default=0, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: Iterable[str]) -> dict[str, int]:
        """id -> position, for those of `ids` that occur."""
        look_up = getattr(self.ids, "positions", None)  # packed ids have an index
        if look_up is not None:
            return dict(look_up(ids))
        wanted = set(ids)  # no dictionary of all documents: a run has a collection for each language
        return {name: position for position, name in enumerate(self.ids) if name in wanted}

    def unknown(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that do not occur."""
        wanted = set(ids)
        return wanted.difference(self.positions(wanted))

    def fingerprint(self) -> str:
        """A hash of every id and text, in order."""
        return self.known_fingerprint or fingerprint_of_texts(itertools.chain(self.ids, self.texts))


@dataclass(frozen=True)
class Queries:
    """Queries (topics) of one language."""

    language: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def from_texts(cls, language: str, texts: Mapping[str, str]) -> "Queries":
        """Queries from a mapping of id to text."""
        return cls(language, tuple(texts), tuple(texts.values()))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Collection:
    """Queries of one language, documents of the same or another language, and relevance judgements.

    Args:
        qrels: empty if the collection is judged by answers alone.
        answers: query id -> strings; a text that contains one of them is relevant (open-domain question
            answering).
        left_out: kind -> number of items that were skipped because its sources do not match.

    Raises:
        ValueError: qrels or answers name a query, or qrels a document, that the collection does not have.
    """

    name: str
    split: Split
    documents: Documents
    queries: Queries
    qrels: Qrels
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def query_language(self) -> str:
        return self.queries.language

    @property
    def document_language(self) -> str:
        return self.documents.language

    def __post_init__(self) -> None:
        queries = set(self.queries.ids)
        judged = {document for grades in self.qrels.values() for document in grades}
        for part, kind, unknown in (
            ("qrels", "query", self.qrels.keys() - queries),
            ("answers", "query", self.answers.keys() - queries),
            ("qrels", "document", self.documents.unknown(judged)),
        ):
            if unknown:
                raise ValueError(f"collection {self.name}: {part} name an unknown {kind} {min(unknown)!r}")

    def fingerprint(self) -> str:
        """A hash of its queries, judgements and documents."""
        return fingerprint_of_texts(self._content())

    def _content(self) -> Iterator[str]:
        yield from (self.query_language, self.document_language, self.split, self.documents.fingerprint())
        yield from itertools.chain(self.queries.ids, self.queries.texts)
        for query, grades in sorted(self.qrels.items()):
            yield query
            yield from (f"{document} {grade}" for document, grade in sorted(grades.items()))
        for query, answers in sorted(self.answers.items()):
            yield from (query, *answers)


@runtime_checkable
class CollectionSource(Protocol):
    """The test collections of a study, one for each language and split; texts are read at first use."""

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> tuple[str, ...]:
        """The query languages."""
        ...

    def collection(self, language: str, split: Split) -> Collection:
        """The collection of one language; dev and test share their documents."""
        ...


@dataclass(frozen=True)
class RelevantPair:
    """An English query and a document relevant to it: training data of the teacher.

    Pairs of one `concept` must not serve as each other's in-batch negatives.
    """

    query: str
    document: str
    concept: str


@runtime_checkable
class Corpus(CollectionSource, Protocol):
    """All texts of a study: bitext to distil on, collections to search, pairs to train a teacher on.

    Construction is cheap and checks every setting; texts are read at first use. Bad input raises
    `optical_sweeps.errors.UserError`, which names the file and line where there is one. `languages` never
    includes the teacher's language, English, when there is bitext.
    """

    def fingerprint(self) -> str:
        """A hash of everything that this corpus can return."""
        ...

    def bitext(self, language: str) -> Bitext:
        """The training pairs of one language."""
        ...

    def documents(self) -> Documents:
        """The documents that all query languages and splits share.

        Raises:
            UserError: the languages search different documents; use `collection(...).documents`.
        """
        ...

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """English query-document pairs that are disjoint from dev and test."""
        ...
