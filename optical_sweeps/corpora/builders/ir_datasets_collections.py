"""Test collections of ir_datasets: MIRACL, Mr. TyDi, mMARCO, CLIRMatrix, NeuCLIR and any other id."""

import re
from pathlib import Path
from typing import Annotated

from optical_sweeps.checks import Count, Fraction, Strings, expanded
from optical_sweeps.corpora.builders.ir_datasets_documents import IrDatasetsDocuments
from optical_sweeps.corpora.collections import Collection, Documents, Qrels, Split
from optical_sweeps.corpora.judgements import OnMissing, judged_collection, sampled_queries, split_queries
from optical_sweeps.corpora.languages import requested_language
from optical_sweeps.corpora.path_patterns import placeholders
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.corpora.readers.ir_dataset import IrDataset, check_dataset_id, is_known, known_ids
from optical_sweeps.corpora.readers.trec import read_topics
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings

LanguagePattern = Annotated[str, placeholders("language")]


@settings("data.collections", kw_only=True)
class IrDatasetsCollections(IrDatasetsDocuments):
    """A collection for each language, from datasets whose ids contain it as `{language}`.

    Args:
        languages: the values of `{language}`.
        test: id of the test queries and judgements, such as `miracl/{language}/dev`.
        dev: id of the dev queries and judgements; null takes a share of the test queries.
        documents: id of other documents with the same document ids, such as `msmarco-passage`; null: those of
            `test`.
        queries_file: other texts for the queries, by query id: TSV of id and text, JSON Lines or TREC topics;
            `{split}` is dev or test. Null: the dataset's own texts.
        query_field: a field of the dataset's queries, such as `ht_title`; null is the one that it searches by.
        query_language: language of the queries; null is what the provider states, or else `{language}`.
        dev_fraction: share of the test queries that become dev if `dev` is null or lacks a language.
        dev_queries: largest number of dev queries, chosen by hash; null is all.
        on_missing: refuse or drop judged queries without a text and judged documents that do not exist.

    The other settings are those of `IrDatasetsDocuments`.

    Raises:
        UserError: a bad setting or an unknown id (at construction); missing or unreadable data (at first use).
    """

    languages: Strings
    test: LanguagePattern
    dev: LanguagePattern | None = None
    documents: LanguagePattern | None = None
    queries_file: Annotated[str, placeholders("language", "split")] | None = None
    query_field: str | None = None
    query_language: LanguagePattern | None = None
    dev_fraction: Fraction = 0.2
    dev_queries: Count | None = None
    on_missing: OnMissing = "refuse"

    def __post_init__(self) -> None:
        for name, pattern in (("test", self.test), ("dev", self.dev), ("documents", self.documents)):
            if pattern is None or (name == "dev" and _some_language_has(pattern)):
                continue  # some languages may lack a dev set, but not all of them
            for language in self.languages:
                try:
                    check_dataset_id(pattern.format(language=language))
                except ValueError as error:
                    raise UserError(f"{key_of(name)}: {error}") from None

    @property
    def name(self) -> str:
        """The first part of the ids, such as `miracl`."""
        return self.test.split("/")[0]

    @read_once
    def collection(self, language: str, split: Split) -> Collection:
        """The queries of one language and split that have a relevant document, over the documents."""
        requested_language(language, self.languages, "data.collections.languages")
        test, dev = IrDataset(self.test.format(language=language)), self._dev(language)
        dataset = dev if dev is not None and split == "dev" else test
        qrels: Qrels = dataset.qrels(self.on_duplicate)
        if dev is None:
            qrels = split_queries(qrels, split, self.dev_fraction)
        elif split == "dev":
            qrels = sampled_queries(qrels, self.dev_queries)
        return judged_collection(
            dataset.id,
            split,
            self._documents((self.documents or self.test).format(language=language), language),
            self._query_language(dataset, language),
            self._topics(dataset, language, split),
            qrels,
            self.on_missing,
        )

    def _topics(self, dataset: IrDataset, language: str, split: Split) -> dict[str, str]:
        if self.queries_file is None:
            return dataset.queries(self.query_field, self.on_duplicate)
        return read_topics(expanded(Path(self.queries_file.format(language=language, split=split))))

    def _dev(self, language: str) -> IrDataset | None:
        """The dev dataset of a language; None if there is none (MIRACL's German and Yoruba)."""
        if self.dev is None:
            return None
        dataset_id = self.dev.format(language=language)
        return IrDataset(dataset_id) if is_known(dataset_id) else None

    def _documents(self, dataset_id: str, language: str) -> Documents:
        dataset = IrDataset(dataset_id).documents_dataset()
        return self._packed_once(dataset, dataset.documents_language() or language)

    @read_once
    def _packed_once(self, dataset: IrDataset, language: str) -> Documents:
        return self.packed(dataset, language)

    def _query_language(self, dataset: IrDataset, language: str) -> str:
        if self.query_language is not None:
            return self.query_language.format(language=language)
        return dataset.queries_language() or language


def _some_language_has(pattern: str) -> bool:
    ids = re.compile("[^/]+".join(re.escape(part) for part in pattern.split("{language}")))
    return any(ids.fullmatch(dataset_id) for dataset_id in known_ids())
