"""XOR-TyDi QA's XOR-Retrieve: questions in seven languages over English passages, judged by answer strings.

It has no qrels: `evaluation.answer_recall` measures R@2kt and R@5kt by the collection's answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from optical_sweeps.checks import number_between, true_or_false
from optical_sweeps.corpora.builders.ir_datasets_collections import pack_dataset
from optical_sweeps.corpora.collections import Collection, Documents, Queries, Split
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.judgements import divided
from optical_sweeps.corpora.readers.ir_dataset import IrDataset
from optical_sweeps.corpora.readers.json_lines import read_objects, text_field
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.corpora.settings import ENGLISH, languages_among, requested_language
from optical_sweeps.errors import UserError

KEY = "data.collections"
LANGUAGES = ("ar", "bn", "fi", "ja", "ko", "ru", "te")
"""Of the questions."""


@dataclass(frozen=True, kw_only=True)
class XorTydiCollections:
    """The questions of a file of XOR-Retrieve, divided into dev and test, over English Wikipedia passages.

    Args:
        questions_file: JSON Lines, `xor_dev_retrieve_eng_span_v1_1.jsonl` or the train file.
        documents: an id of ir_datasets, such as `dpr-w100` (21 million passages of 100 words).
        languages: of the questions.
        dev_fraction: share of the questions that are dev's, by hash (the published test file has no answers).
        document_columns: what of a passage is searched: title_and_text, title or text.
        separator: what stands between title and text.
        complete: refuse a collection with fewer passages than its provider counts.
        cache: folder of the packed passages.

    Raises:
        UserError: a bad setting (at once), a missing or bad file or unavailable passages (at first use).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    questions_file: Path
    documents: str = "dpr-w100"
    languages: tuple[str, ...] = LANGUAGES
    dev_fraction: float = 0.2
    document_columns: str = "title_and_text"
    separator: str = " "
    complete: bool = True
    cache: Path = Path("artifacts/collections")

    def __post_init__(self) -> None:
        languages = languages_among(f"{KEY}.languages", self.languages, LANGUAGES, "XOR-TyDi")
        object.__setattr__(self, "languages", languages)
        object.__setattr__(self, "cache", Path(self.cache).expanduser())
        object.__setattr__(self, "questions_file", Path(self.questions_file).expanduser())
        share = number_between(f"{KEY}.dev_fraction", self.dev_fraction, 0.0, 1.0)
        object.__setattr__(self, "dev_fraction", share)
        true_or_false(f"{KEY}.complete", self.complete)
        DocumentText(self.document_columns, self.separator, KEY)
        try:
            IrDataset(self.documents)
        except UserError as error:
            raise UserError(f"{KEY}.documents: {error}") from None

    @property
    def name(self) -> str:
        return "xor-tydi"

    def collection(self, language: str, split: Split) -> Collection:
        """The questions of one language and split, with their answers."""
        requested_language(language, self.languages, f"{KEY}.languages")
        chosen = divided(
            {q.id: {} for q in self._questions if q.language == language}, split, self.dev_fraction
        )
        own = [question for question in self._questions if question.id in chosen]
        if not own:
            raise UserError(
                f"{self.questions_file}: no question of {language} for {split}; change dev_fraction"
            )
        return Collection(
            f"xor-tydi/{language}",
            split,
            self._documents,
            Queries(language, tuple(q.id for q in own), tuple(q.text for q in own)),
            qrels={},
            answers={q.id: q.answers for q in own},
        )

    @cached_property
    def _questions(self) -> tuple["Question", ...]:
        if not self.questions_file.is_file():
            raise UserError(
                f"{KEY}.questions_file: there is no file {self.questions_file}; fetch "
                "xor_dev_retrieve_eng_span_v1_1.jsonl from nlp.cs.washington.edu/xorqa"
            )
        return tuple(read_questions(self.questions_file))

    @cached_property
    def _documents(self) -> Documents:
        dataset = IrDataset(IrDataset(self.documents).documents_id())
        text = DocumentText(self.document_columns, self.separator)
        return pack_dataset(dataset, dataset.documents_language() or ENGLISH, text, self.cache, self.complete)


@dataclass(frozen=True)
class Question:
    """A question and the strings that answer it."""

    id: str
    language: str
    text: str
    answers: tuple[str, ...]


def read_questions(path: Path) -> Iterator[Question]:
    """Every question of a JSON Lines file with `id`, `lang`, `question` and `answers`; blank ones are dropped.

    Raises:
        UserError: a field is missing, an id stands twice, or the file cannot be read.
    """
    seen: set[str] = set()
    for number, value in read_objects(path):
        fields = [text_field(path, number, value, name) for name in ("id", "lang", "question")]
        for field in fields:
            if isinstance(field, Fault):
                raise UserError(field.message)
        question, language, text = map(str, fields)
        if question in seen:
            raise UserError(f"{path}:{number}: question id {question!r} stands twice; give each its own id")
        seen.add(question)
        answers = value.get("answers")
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise UserError(
                f"{path}:{number}: no list of answers; the published test file has none to score by"
            )
        yield Question(question, language, text, tuple(answer for answer in answers if answer.strip()))
