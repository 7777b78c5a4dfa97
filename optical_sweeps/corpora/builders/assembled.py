"""A corpus assembled from a source of bitext, a source of test collections and the teacher's pairs."""

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Protocol, runtime_checkable

from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.collections import (
    SPLITS,
    Collection,
    CollectionSource,
    Documents,
    RelevantPair,
    Split,
)
from optical_sweeps.corpora.filters import BitextReport
from optical_sweeps.corpora.languages import requested_language
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings


@runtime_checkable
class PairSource(Protocol):
    """A source of the teacher's query-document pairs."""

    def relevant_pairs(self) -> tuple[RelevantPair, ...]: ...


@settings("data", kw_only=True)
class AssembledCorpus:
    """Bitext, collections and the teacher's pairs, each from its own source.

    Args:
        collections: test collections by language.
        bitexts: training pairs by language; without sources the corpus serves evaluation only.
        teacher_pairs: English query-document pairs to train a teacher on, or null.

    Raises:
        UserError: a part has the wrong type (at construction); what the parts raise (at first use).
    """

    collections: CollectionSource
    bitexts: BitextSources = field(default_factory=BitextSources)
    teacher_pairs: PairSource | None = None

    @property
    def name(self) -> str:
        return self.collections.name

    @property
    def languages(self) -> tuple[str, ...]:
        return self.collections.languages

    @read_once
    def fingerprint(self) -> str:
        """A hash of the pairs, queries, judgements and documents of every language."""
        prints = ["assembled"]
        for language in self.languages:
            prints += [language, *(self.collection(language, split).fingerprint() for split in SPLITS)]
            if self.bitexts.has(language):
                prints.append(self.bitext(language).fingerprint())
        if self.teacher_pairs is not None:
            for pair in self.relevant_pairs():
                prints += [pair.query, pair.document, pair.concept]
        return fingerprint_of_texts(prints)

    @read_once
    def bitext(self, language: str) -> Bitext:
        """The training pairs of one language, filtered."""
        requested_language(language, self.languages, "data.collections.languages")
        bitext, self._reports[language] = self.bitexts.read(language)
        return bitext

    def bitext_reports(self) -> Mapping[str, BitextReport]:
        """What the filters dropped, for each language whose bitext has been read."""
        return self._reports

    def documents(self) -> Documents:
        """The documents that all languages search.

        Raises:
            UserError: languages search different documents.
        """
        by_language = {language: self.collection(language, "test").documents for language in self.languages}
        distinct = list({documents.fingerprint(): documents for documents in by_language.values()}.values())
        if len(distinct) > 1:
            raise UserError(
                f"data.collections: {self.name} has other documents for each language, but one set is needed; "
                "set data.collections.documents, or name one language"
            )
        return distinct[0]

    def collection(self, language: str, split: Split) -> Collection:
        """The queries of one language over their documents."""
        return self.collections.collection(language, split)

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """The teacher's pairs."""
        if self.teacher_pairs is None:
            raise UserError("data.teacher_pairs: null, but a teacher is trained on pairs; set a source")
        return self.teacher_pairs.relevant_pairs()

    @cached_property
    def _reports(self) -> dict[str, BitextReport]:
        return {}
