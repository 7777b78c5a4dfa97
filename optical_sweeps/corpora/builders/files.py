"""A corpus from a user's own files: bitext, documents, queries and TREC qrels in one folder."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Annotated

from optical_sweeps.checks import Count, FilePath, check_file, check_folder
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.bitext_sources import BitextSource, Files, OnFault, read_sources
from optical_sweeps.corpora.collections import SPLITS, Collection, Documents, Queries, RelevantPair, Split
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.filters import BitextFilters, BitextReport
from optical_sweeps.corpora.languages import ENGLISH, TargetLanguages, requested_language
from optical_sweeps.corpora.packed_bitext import NoPairs, default_cache
from optical_sweeps.corpora.path_patterns import check_pattern, placeholders
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.corpora.readers.documents import read_documents
from optical_sweeps.corpora.readers.relevant_pairs import read_relevant_pairs, with_concepts
from optical_sweeps.corpora.readers.trec import read_qrels, read_topics
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import key_of, settings

UNFILTERED = BitextFilters(drop_duplicates=False)


@settings("data", kw_only=True)
class FilesCorpus(DocumentText):
    """Bitext and a collection from files in one folder, each plain, gzip, Zstandard or zip.

    The file settings are paths below `root`, in which `{language}` is the language and `{split}` is dev or
    test. Queries without a relevant document are dropped from a collection: no measure is defined on them.

    Args:
        root: folder of the files.
        languages: languages to distil into.
        bitext_file: TSV of English and translation, JSON Lines, TMX or a gettext catalogue, by its name; or a
            list of two parallel files, English first.
        documents_file: TSV of id, title and text, or of id and text; or JSON Lines.
        queries_file: TSV of id and text, TREC topics (whose titles are used), or JSON Lines.
        qrels_file: TREC qrels.
        document_columns: which columns of a document are searched: title_and_text, title or text.
        separator: the text between title and text.
        relevant_pairs_file: TSV of English query and document to train a teacher on, disjoint from dev and
            test (this is not checked); null pairs title and text of the documents that no qrels judge.
        on_fault: what to do with lines of the bitext that cannot be used: refuse stops with file and line, skip
            counts them.
        relevant_pairs_drawn: number of those pairs to draw, the same in every study; null takes all.
        cache: folder of the packed bitext.

    Raises:
        UserError: a bad setting or a missing file (at construction), a bad line (at first use).
    """

    root: FilePath
    languages: TargetLanguages
    bitext_file: Files = ("{language}/bitext.train.tsv.gz",)
    documents_file: Annotated[str, placeholders()] = "docs.tsv.gz"
    queries_file: str = "{language}/queries.{split}.tsv"
    qrels_file: str = "{language}/qrels.{split}.txt"
    separator: str = ". "
    relevant_pairs_file: Annotated[str, placeholders()] | None = None
    relevant_pairs_drawn: Count | None = None
    on_fault: OnFault = "refuse"
    cache: FilePath = field(default_factory=default_cache)

    def __post_init__(self) -> None:
        check_folder(key_of("root"), self.root, "set the folder of the files")
        several = {"language"} if len(self.languages) > 1 else set()
        check_pattern(key_of("bitext_file"), self.bitext_file[-1], {"language"}, needs=several)
        for english in self.bitext_file[:-1]:  # which all languages may share
            check_pattern(key_of("bitext_file"), english, {"language"})
        check_pattern(key_of("queries_file"), self.queries_file, {"language", "split"}, needs=several)
        check_pattern(key_of("qrels_file"), self.qrels_file, {"language", "split"}, needs={"split"})
        for name, path, language in self._files():
            key = f"{key_of(name)}: {language}" if language else key_of(name)
            check_file(key, path, f"check this setting, {key_of('root')} and {key_of('languages')}")

    @property
    def name(self) -> str:
        return self.root.resolve().name

    @read_once
    def fingerprint(self) -> str:
        """A hash of the pairs, of the bytes of other files, and of the settings of their use."""
        texts = ["files", *self.languages, self.document_columns, self.separator, self.on_fault]
        texts += [self.bitext(language).fingerprint() for language in self.languages]
        for name, path, _ in self._files():
            if name != "bitext_file":
                texts += [name, file_digest(path).hex()]
        if self.relevant_pairs_drawn is not None:
            texts.append(f"relevant_pairs_drawn {self.relevant_pairs_drawn}")
        return fingerprint_of_texts(texts)

    @read_once
    def bitext(self, language: str) -> Bitext:
        """The training pairs of one language."""
        requested_language(language, self.languages)
        files = tuple(
            str(self._path(pattern, language)).replace("{", "{{").replace("}", "}}")
            for pattern in self.bitext_file
        )
        source = BitextSource(files=files)
        try:
            bitext, self._reports[language] = read_sources(
                [source], language, UNFILTERED, self.on_fault, "data", self.cache
            )
        except NoPairs as none:
            raise UserError(
                f"{source.name(language)}: no pair of English and {language} (skipped: "
                f"{none.report.skipped()}); translate some lines or messages, or change data.bitext_file"
            ) from None
        return bitext

    def bitext_reports(self) -> Mapping[str, BitextReport]:
        """What was skipped, for each language whose bitext has been read."""
        return self._reports

    @cached_property
    def _reports(self) -> dict[str, BitextReport]:
        return {}

    @read_once
    def documents(self) -> Documents:
        """All documents, in the order of their file."""
        path = self._path(self.documents_file)
        texts = {
            document: self.searched_text(title, text)
            for document, (title, text) in read_documents(path).items()
        }
        if not any(texts.values()):
            columns = self.document_columns.replace("_and_", " or ")
            raise UserError(f"{path}: no document has a {columns}; fill it, or change data.document_columns")
        return Documents(ENGLISH, tuple(texts), tuple(texts.values()))

    @read_once
    def collection(self, language: str, split: Split) -> Collection:
        """The queries of one language and split that have a relevant document, over all documents."""
        requested_language(language, self.languages)
        topics = read_topics(self._path(self.queries_file, language, split))
        path = self._path(self.qrels_file, language, split)
        qrels = read_qrels(path, topics, self._document_ids())
        qrels = {query: grades for query, grades in qrels.items() if any(grades.values())}
        if not qrels:
            raise UserError(f"{path}: no query has a relevant document; give at least one a grade above 0")
        queries = Queries.from_texts(language, {query: topics[query] for query in topics if query in qrels})
        return Collection(f"{self.name}.{language}", split, self.documents(), queries, qrels)

    @read_once
    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """English query-document pairs from `relevant_pairs_file`, or title and text of unjudged documents."""
        if self.relevant_pairs_file is not None:
            pairs = read_relevant_pairs(self._path(self.relevant_pairs_file))
        else:
            pairs = self._unjudged_pairs()
        if self.relevant_pairs_drawn is None or self.relevant_pairs_drawn >= len(pairs):
            return pairs
        numbers = Random(derive_seed("relevant pairs", 0)).sample(range(len(pairs)), self.relevant_pairs_drawn)
        return tuple(pairs[number] for number in sorted(numbers))

    def _unjudged_pairs(self) -> tuple[RelevantPair, ...]:
        judged = {
            document
            for language in self.languages
            for split in SPLITS
            for grades in self.collection(language, split).qrels.values()
            for document in grades
        }
        # The document is the text without its title: otherwise the teacher would only learn to match words.
        path = self._path(self.documents_file)
        pairs = [
            pair for document, pair in read_documents(path).items() if document not in judged and all(pair)
        ]
        if not pairs:
            raise UserError(
                f"{path}: no document outside dev and test has both title and text to train a teacher on; "
                "set data.relevant_pairs_file"
            )
        return with_concepts(pairs)

    @read_once
    def _document_ids(self) -> frozenset[str]:
        return frozenset(self.documents().ids)

    def _path(self, pattern: str, language: str = "", split: str = "") -> Path:
        return self.root / pattern.format(language=language, split=split)

    def _files(self) -> Iterator[tuple[str, Path, str]]:
        """(setting, path, language) of every file, in a fixed order; the files of all languages have none."""
        yield "documents_file", self._path(self.documents_file), ""
        if self.relevant_pairs_file is not None:
            yield "relevant_pairs_file", self._path(self.relevant_pairs_file), ""
        for language in self.languages:
            for pattern in self.bitext_file:
                yield "bitext_file", self._path(pattern, language), language
            for split in SPLITS:
                yield "queries_file", self._path(self.queries_file, language, split), language
                yield "qrels_file", self._path(self.qrels_file, language, split), language
