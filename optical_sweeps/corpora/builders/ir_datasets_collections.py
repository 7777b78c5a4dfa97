"""Test collections of ir_datasets: MIRACL, Mr. TyDi, mMARCO, CLIRMatrix, NeuCLIR and every other id of it."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optical_sweeps.checks import number_between, one_of, strings, true_or_false, whole_number
from optical_sweeps.corpora.collections import Collection, Documents, Qrels, Split
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.judgements import ON_MISSING, at_most, divided, judged_collection
from optical_sweeps.corpora.packed import packed_documents
from optical_sweeps.corpora.readers.ir_dataset import IrDataset, is_known, known_ids
from optical_sweeps.corpora.readers.trec import read_topics
from optical_sweeps.corpora.settings import check_pattern, requested_language
from optical_sweeps.errors import UserError

KEY = "data.collections"


@dataclass(frozen=True, kw_only=True)
class IrDatasetsCollections:
    """A collection for each language, from datasets whose ids name it; `{language}` stands for it.

    Documents are packed into `cache` at first use and mapped into memory from then on.

    Args:
        languages: what `{language}` runs through.
        test: id of the test queries and judgements, such as `miracl/{language}/dev`.
        dev: id of the dev queries and judgements; null takes a share of the test queries.
        documents: id of other documents, laid under by id, such as `msmarco-passage`; null: test's own.
        queries_file: other texts for the queries, laid over by query id: TSV of id and text, JSON Lines or TREC
            topics; `{split}` is dev or test. Null: the dataset's own.
        query_field: a field of the dataset's queries, such as `ht_title`; null is what the dataset searches by.
        query_language: of the queries; null is what the provider says, or else `{language}`.
        document_language: of the documents, likewise.
        dev_fraction: share of the test queries that are dev's where `dev` is null or lacks a language.
        dev_queries: at most so many dev queries, by hash; null is all.
        document_columns: what of a document is searched: title_and_text, title or text.
        separator: what stands between title and text.
        on_missing: refuse or drop judged queries without a text and judged documents that are not there.
        complete: refuse a collection with fewer documents than its provider counts.
        cache: folder of the packed documents.

    Raises:
        UserError: a bad setting or an unknown id (at once); data that cannot be had or read (at first use).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    languages: tuple[str, ...]
    test: str
    dev: str | None = None
    documents: str | None = None
    queries_file: str | None = None
    query_field: str | None = None
    query_language: str | None = None
    document_language: str | None = None
    dev_fraction: float = 0.2
    dev_queries: int | None = None
    document_columns: str = "title_and_text"
    separator: str = " "
    on_missing: str = "refuse"
    complete: bool = True
    cache: Path = Path("artifacts/collections")
    _documents: dict[str, Documents] = field(default_factory=dict, init=False, repr=False, compare=False)
    _collections: dict[tuple[str, Split], Collection] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "languages", strings(f"{KEY}.languages", self.languages))
        object.__setattr__(self, "cache", Path(self.cache).expanduser())
        for name in ("test", "dev", "documents", "query_language", "document_language"):
            if getattr(self, name) is not None or name == "test":
                check_pattern(f"{KEY}.{name}", getattr(self, name), {"language"})
        if self.queries_file is not None:
            check_pattern(f"{KEY}.queries_file", self.queries_file, {"language", "split"})
        share = number_between(f"{KEY}.dev_fraction", self.dev_fraction, 0.0, 1.0)
        object.__setattr__(self, "dev_fraction", share)
        if self.dev_queries is not None:
            whole_number(f"{KEY}.dev_queries", self.dev_queries, least=1)
        one_of(f"{KEY}.on_missing", self.on_missing, ON_MISSING)
        true_or_false(f"{KEY}.complete", self.complete)
        DocumentText(self.document_columns, self.separator, KEY)
        self._check_ids()

    @property
    def name(self) -> str:
        """The first part of the ids, such as `miracl`."""
        return self.test.split("/")[0]

    def collection(self, language: str, split: Split) -> Collection:
        """The queries of one language and split that have a relevant document, over the documents."""
        requested_language(language, self.languages, f"{KEY}.languages")
        if (language, split) not in self._collections:
            self._collections[language, split] = self._read(language, split)
        return self._collections[language, split]

    def _read(self, language: str, split: Split) -> Collection:
        dataset, shared = self._judged(language, split)
        qrels: Qrels = dataset.qrels()
        if shared:
            qrels = divided(qrels, split, self.dev_fraction)
        elif split == "dev":
            qrels = at_most(qrels, self.dev_queries)
        return judged_collection(
            dataset.id,
            split,
            self._documents_of(language),
            self._language(self.query_language, dataset.queries_language(), language),
            self._topics(dataset, language, split),
            qrels,
            self.on_missing,
        )

    def _topics(self, dataset: IrDataset, language: str, split: Split) -> dict[str, str]:
        if self.queries_file is None:
            return dataset.queries(self.query_field)
        return read_topics(Path(self.queries_file.format(language=language, split=split)).expanduser())

    def _judged(self, language: str, split: Split) -> tuple[IrDataset, bool]:
        """The dataset of a split, and whether dev and test divide it between them."""
        test = IrDataset(self.test.format(language=language))
        dev = self._dev(language)
        if dev is None:
            return test, True
        return (test if split == "test" else dev), False

    def _dev(self, language: str) -> IrDataset | None:
        """The dev dataset of a language; None where there is none (MIRACL's German and Yoruba)."""
        if self.dev is None:
            return None
        dataset_id = self.dev.format(language=language)
        return IrDataset(dataset_id) if is_known(dataset_id) else None

    def _documents_of(self, language: str) -> Documents:
        dataset = IrDataset((self.documents or self.test).format(language=language))
        source = IrDataset(dataset.documents_id())
        if source.id not in self._documents:
            spoken = self._language(self.document_language, source.documents_language(), language)
            self._documents[source.id] = pack_dataset(
                source, spoken, DocumentText(self.document_columns, self.separator), self.cache, self.complete
            )
        return self._documents[source.id]

    def _language(self, setting: str | None, provider: str | None, language: str) -> str:
        return setting.format(language=language) if setting is not None else provider or language

    def _check_ids(self) -> None:
        for name in ("test", "dev", "documents"):
            if (pattern := getattr(self, name)) is None:
                continue
            ids = [pattern.format(language=language) for language in self.languages]
            if name == "dev" and _some_language_has(pattern):
                continue  # a language may lack a dev set, but not all of them
            for dataset_id in ids:
                try:
                    IrDataset(dataset_id)
                except UserError as error:
                    raise UserError(f"{KEY}.{name}: {error}") from None


def _some_language_has(pattern: str) -> bool:
    own = re.compile("[^/]+".join(re.escape(part) for part in pattern.split("{language}")))
    return any(own.fullmatch(dataset_id) for dataset_id in known_ids())


def pack_dataset(
    dataset: IrDataset, language: str, text: DocumentText, cache: Path, complete: bool
) -> Documents:
    """A dataset's documents, packed into a folder of `cache` named after it."""
    facts = {"dataset": dataset.id, "columns": text.columns, "separator": text.separator, "complete": complete}
    digest = hashlib.blake2b(repr(sorted(facts.items())).encode(), digest_size=4).hexdigest()
    folder = cache / f"{dataset.id.replace('/', '-')}-{digest}"

    def records() -> Iterator[tuple[str, str]]:
        number = 0
        for document, title, own_text in dataset.documents():
            yield document, text.of(title, own_text)
            number += 1
        expected = dataset.documents_count()
        if complete and expected is not None and number < expected:
            raise UserError(
                f"{dataset.id}: {number:,} documents where its provider counts {expected:,}: the download is "
                f"cut short; fetch it again, or set {KEY}.complete to false for a part of it"
            )

    return packed_documents(folder, language, records, facts, dataset.documents_stamp)
