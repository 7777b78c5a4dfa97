"""A corpus put together from a source of bitext, a source of test collections and the teacher's pairs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.bitext_sources import BitextSources
from optical_sweeps.corpora.collections import (
    Collection,
    CollectionSource,
    Documents,
    RelevantPair,
    Split,
)
from optical_sweeps.corpora.filters import BitextReport
from optical_sweeps.corpora.settings import requested_language
from optical_sweeps.errors import UserError

SPLITS: tuple[Split, ...] = ("dev", "test")


@runtime_checkable
class PairSource(Protocol):
    """Where the teacher's query-document pairs come from."""

    def relevant_pairs(self) -> tuple[RelevantPair, ...]: ...


@dataclass(frozen=True, kw_only=True)
class AssembledCorpus:
    """Bitext, collections and the teacher's pairs, each from its own source.

    Args:
        collections: test collections by language.
        bitexts: training pairs by language; null or no source: nothing to distil on, for evaluation alone.
        teacher_pairs: English query-document pairs to train a teacher on; null: none.

    Raises:
        UserError: a part is not what it should be (at once); what the parts raise (at first use).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    collections: CollectionSource
    bitexts: BitextSources = field(default_factory=BitextSources)
    teacher_pairs: PairSource | None = None
    _read_bitexts: dict[str, tuple[Bitext, BitextReport]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for key, value, kind in (
            ("collections", self.collections, CollectionSource),
            ("bitexts", self.bitexts, BitextSources),
            ("teacher_pairs", self.teacher_pairs, PairSource | None),
        ):
            if not isinstance(value, kind):
                raise UserError(f"data.{key}: {value!r} is no such source; give a _target_ and its settings")

    @property
    def name(self) -> str:
        return self.collections.name

    @property
    def languages(self) -> tuple[str, ...]:
        return self.collections.languages

    def fingerprint(self) -> str:
        """A hash of the pairs, queries, judgements and documents of every language."""
        return self._fingerprint

    def bitext(self, language: str) -> Bitext:
        """The training pairs of one language, filtered."""
        return self._read(language)[0]

    def bitext_reports(self) -> Mapping[str, BitextReport]:
        """What the filters did, by language, for the languages read so far."""
        return {language: report for language, (_, report) in self._read_bitexts.items()}

    def documents(self) -> Documents:
        """The documents that all languages search.

        Raises:
            UserError: languages search different documents.
        """
        by_language = {language: self.collection(language, "test").documents for language in self.languages}
        distinct = list({documents.fingerprint(): documents for documents in by_language.values()}.values())
        if len(distinct) > 1:
            raise UserError(
                f"data.collections: {self.name} has other documents for each language; one set is needed: "
                "set data.collections.documents, or name one language"
            )
        return distinct[0]

    def collection(self, language: str, split: Split) -> Collection:
        """The queries of one language over their documents."""
        return self.collections.collection(language, split)

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """The teacher's pairs."""
        if self.teacher_pairs is None:
            raise UserError("data.teacher_pairs: none is set, and a teacher needs pairs; set one")
        return self.teacher_pairs.relevant_pairs()

    def _read(self, language: str) -> tuple[Bitext, BitextReport]:
        requested_language(language, self.languages, "data.collections.languages")
        if language not in self._read_bitexts:
            self._read_bitexts[language] = self.bitexts.read(language)
        return self._read_bitexts[language]

    # cached_property writes into the instance's __dict__, which a frozen dataclass without slots allows.
    @cached_property
    def _fingerprint(self) -> str:
        prints = ["assembled"]
        for language in self.languages:
            prints += [language, *(self.collection(language, split).fingerprint() for split in SPLITS)]
            if self.bitexts.has(language):
                bitext = self.bitext(language)
                prints.append(fingerprint_of_texts((*bitext.english, *bitext.translations)))
        if self.teacher_pairs is not None:
            for pair in self.relevant_pairs():
                prints += [pair.query, pair.document, pair.concept]
        return fingerprint_of_texts(prints)
