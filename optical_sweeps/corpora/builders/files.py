"""A corpus from a user's own files: bitext, documents, queries and TREC qrels under one folder."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from optical_sweeps.checks import strings, whole_number
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.bitext_sources import BitextSource
from optical_sweeps.corpora.collections import Collection, Documents, Queries, RelevantPair, Split
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.readers.bitext import strict_bitext
from optical_sweeps.corpora.readers.documents import read_documents
from optical_sweeps.corpora.readers.relevant_pairs import read_relevant_pairs, with_concepts
from optical_sweeps.corpora.readers.trec import read_qrels, read_topics
from optical_sweeps.corpora.settings import ENGLISH, check_pattern, languages_of, requested_language
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

SPLITS: tuple[Split, ...] = ("dev", "test")


@dataclass(frozen=True)
class FilesCorpus:
    """Bitext and a collection from files under one folder, each plain, gzip, Zstandard or zip.

    The file settings are paths under `root`; `{language}` in them stands for a language, `{split}` for dev or
    test. Queries without a relevant document are left out of a collection: no measure is defined on them.

    Args:
        root: folder of the files.
        languages: languages to serve.
        bitext_file: TSV of English and translation, JSON Lines, TMX or a gettext catalogue, by its ending; or a
            list of two parallel files, English first.
        documents_file: TSV of id, title and text, or of id and text; or JSON Lines.
        queries_file: TSV of id and text, TREC topics (whose titles are taken), or JSON Lines.
        qrels_file: TREC qrels.
        document_columns: what of a document is searched: title_and_text, title or text.
        separator: what stands between title and text.
        relevant_pairs_file: TSV of English query and document to train a teacher on, disjoint from dev and
            test (which is not checked); null takes title -> text of the documents that no qrels judge.
        relevant_pairs_drawn: so many of those pairs, the same in every study; null takes all.

    Raises:
        UserError: a bad setting or a missing file (at once), a bad line (at first use).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    root: Path
    languages: tuple[str, ...]
    bitext_file: str | tuple[str, ...] = "{language}/bitext.train.tsv.gz"
    documents_file: str = "docs.tsv.gz"
    queries_file: str = "{language}/queries.{split}.tsv"
    qrels_file: str = "{language}/qrels.{split}.txt"
    document_columns: str = "title_and_text"
    separator: str = ". "
    relevant_pairs_file: str | None = None
    relevant_pairs_drawn: int | None = None
    _bitexts: dict[str, Bitext] = field(default_factory=dict, init=False, repr=False, compare=False)
    _collections: dict[tuple[str, Split], Collection] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", _existing_folder("data.root", self.root))
        object.__setattr__(self, "languages", languages_of("data.languages", self.languages))
        if not isinstance(self.bitext_file, str):
            object.__setattr__(self, "bitext_file", _two_files("data.bitext_file", self.bitext_file))
        DocumentText(self.document_columns, self.separator)
        if self.relevant_pairs_drawn is not None:
            whole_number("data.relevant_pairs_drawn", self.relevant_pairs_drawn, least=1)
        self._check_patterns()
        for key, path in self._files():
            if not path.is_file():
                raise UserError(
                    f"{key}: there is no file {path}; check this setting, data.root and data.languages"
                )

    @property
    def name(self) -> str:
        return self.root.resolve().name

    def fingerprint(self) -> str:
        """A hash of the bytes of every file, and of the settings that say how they are read."""
        return self._fingerprint

    def bitext(self, language: str) -> Bitext:
        """The training pairs of one language."""
        requested_language(language, self.languages)
        if language not in self._bitexts:
            self._bitexts[language] = self._read_bitext(language)
        return self._bitexts[language]

    def documents(self) -> Documents:
        """All documents, in the order of their file."""
        return self._documents

    def collection(self, language: str, split: Split) -> Collection:
        """The queries of one language and split that have a relevant document, over all documents."""
        requested_language(language, self.languages)
        if (language, split) not in self._collections:
            self._collections[language, split] = self._read_collection(language, split)
        return self._collections[language, split]

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """English query-document pairs from `relevant_pairs_file`, or title -> text of unjudged documents."""
        pairs = self._relevant_pairs
        if self.relevant_pairs_drawn is None or self.relevant_pairs_drawn >= len(pairs):
            return pairs
        drawn = Random(derive_seed("relevant pairs", 0)).sample(range(len(pairs)), self.relevant_pairs_drawn)
        return tuple(pairs[number] for number in sorted(drawn))

    def _read_bitext(self, language: str) -> Bitext:
        patterns = (self.bitext_file,) if isinstance(self.bitext_file, str) else self.bitext_file
        files = tuple(
            str(self._path(pattern, language)).replace("{", "{{").replace("}", "}}") for pattern in patterns
        )
        return strict_bitext(language, BitextSource(files=files).pairs(language))

    def _read_collection(self, language: str, split: Split) -> Collection:
        topics = read_topics(self._path(self.queries_file, language, split))
        path = self._path(self.qrels_file, language, split)
        qrels = read_qrels(path, topics, self._document_ids)
        qrels = {query: grades for query, grades in qrels.items() if any(grades.values())}
        if not qrels:
            raise UserError(f"{path}: no query has a relevant document; give at least one a grade above 0")
        judged = [query for query in topics if query in qrels]
        queries = Queries(language, tuple(judged), tuple(topics[query] for query in judged))
        return Collection(f"{self.name}.{language}", split, self._documents, queries, qrels)

    # cached_property writes into the instance's __dict__, which a frozen dataclass without slots allows.
    @cached_property
    def _documents(self) -> Documents:
        path = self._path(self.documents_file)
        documents = read_documents(path)
        texts = []
        for document, (title, text) in documents.items():
            texts.append(DocumentText(self.document_columns, self.separator).of(title, text))
            if not texts[-1]:
                raise UserError(
                    f"{path}: document {document!r} has no {self.document_columns}; fill it, or set "
                    "data.document_columns to title_and_text"
                )
        return Documents(ENGLISH, tuple(documents), tuple(texts))

    @cached_property
    def _document_ids(self) -> frozenset[str]:
        return frozenset(self._documents.ids)

    @cached_property
    def _relevant_pairs(self) -> tuple[RelevantPair, ...]:
        if self.relevant_pairs_file is not None:
            return read_relevant_pairs(self._path(self.relevant_pairs_file))
        held_out = {
            document
            for language in self.languages
            for split in SPLITS
            for grades in self.collection(language, split).qrels.values()
            for document in grades
        }
        # the text without its title: with it, matching the query word for word is all there is to learn
        path = self._path(self.documents_file)
        pairs = [
            pair for document, pair in read_documents(path).items() if document not in held_out and all(pair)
        ]
        if not pairs:
            raise UserError(
                f"{path}: no document outside dev and test has both title and text to train a teacher on; "
                "set data.relevant_pairs_file"
            )
        return with_concepts(pairs)

    @cached_property
    def _fingerprint(self) -> str:
        texts = ["files", *self.languages, self.document_columns, self.separator]
        for key, path in self._files():
            texts += [key, _digest(path)]
        if self.relevant_pairs_drawn is not None:
            texts.append(f"relevant_pairs_drawn {self.relevant_pairs_drawn}")
        return fingerprint_of_texts(texts)

    def _path(self, pattern: str, language: str = "", split: str = "") -> Path:
        return self.root / pattern.format(language=language, split=split)

    def _files(self) -> Iterator[tuple[str, Path]]:
        """(config key, path) of every file, in a fixed order."""
        yield "data.documents_file", self._path(self.documents_file)
        if self.relevant_pairs_file is not None:
            yield "data.relevant_pairs_file", self._path(self.relevant_pairs_file)
        bitext_files = (self.bitext_file,) if isinstance(self.bitext_file, str) else self.bitext_file
        for language in self.languages:
            for pattern in bitext_files:
                yield "data.bitext_file", self._path(pattern, language)
            for split in SPLITS:
                yield "data.queries_file", self._path(self.queries_file, language, split)
                yield "data.qrels_file", self._path(self.qrels_file, language, split)

    def _check_patterns(self) -> None:
        several = {"language"} if len(self.languages) > 1 else set()
        translations = self.bitext_file if isinstance(self.bitext_file, str) else self.bitext_file[1]
        check_pattern("data.bitext_file", translations, {"language"}, needs=several)
        if not isinstance(self.bitext_file, str):  # English may be the same file for all
            check_pattern("data.bitext_file", self.bitext_file[0], {"language"})
        check_pattern("data.documents_file", self.documents_file, set())
        check_pattern("data.queries_file", self.queries_file, {"language", "split"}, needs=several)
        check_pattern("data.qrels_file", self.qrels_file, {"language", "split"}, needs={"split"})
        if self.relevant_pairs_file is not None:
            check_pattern("data.relevant_pairs_file", self.relevant_pairs_file, set())


def _existing_folder(key: str, value: object) -> Path:
    if not isinstance(value, str | Path) or not value:
        raise UserError(f"{key}: {value!r} is not a path; set the folder of the files")
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise UserError(f"{key}: there is no folder {folder}; set the folder of the files")
    return folder


def _two_files(key: str, value: object) -> tuple[str, ...]:
    files = strings(key, value)
    if len(files) != 2:
        raise UserError(f"{key}: {len(files)} files; give one TSV, or two parallel files, English first")
    return files


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
