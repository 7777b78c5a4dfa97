"""XOR-TyDi QA's XOR-Retrieve: questions in seven languages over English passages, judged by answer strings.

It has no qrels: `evaluation.answer_recall` measures R@2kt and R@5kt with the collection's answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from optical_sweeps.checks import FilePath, Fraction, check_file
from optical_sweeps.corpora.builders.ir_datasets_documents import IrDatasetsDocuments
from optical_sweeps.corpora.collections import Collection, Documents, Queries, Split
from optical_sweeps.corpora.judgements import split_queries
from optical_sweeps.corpora.languages import ENGLISH, TargetLanguages, known_languages, requested_language
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.corpora.readers.ir_dataset import DatasetId, IrDataset
from optical_sweeps.corpora.readers.json_lines import read_objects, text_field
from optical_sweeps.corpora.readers.lines import usable
from optical_sweeps.corpora.well_formed import well_formed
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings

LANGUAGES = ("ar", "bn", "fi", "ja", "ko", "ru", "te")
"""Languages of the questions."""


@settings("data.collections", kw_only=True)
class XorTydiCollections(IrDatasetsDocuments):
    """The questions of a file of XOR-Retrieve, divided into dev and test, over English Wikipedia passages.

    Args:
        questions_file: JSON Lines, `xor_dev_retrieve_eng_span_v1_1.jsonl` or the train file.
        documents: an id of ir_datasets, such as `dpr-w100` (21 million passages of 100 words).
        languages: languages of the questions.
        dev_fraction: share of dev, by hash (the published test file has no answers).

    The other settings are those of `IrDatasetsDocuments`.

    Raises:
        UserError: a bad setting (at construction), a bad file or missing passages (at first use).
    """

    questions_file: FilePath
    documents: DatasetId = "dpr-w100"
    languages: Annotated[TargetLanguages, known_languages(LANGUAGES, "XOR-TyDi")] = LANGUAGES
    dev_fraction: Fraction = 0.2

    @property
    def name(self) -> str:
        return "xor-tydi"

    def collection(self, language: str, split: Split) -> Collection:
        """The questions of one language and split, with their answers."""
        requested_language(language, self.languages, "data.collections.languages")
        questions = {question.id: question for question in self._questions() if question.language == language}
        ids = split_queries({query: {} for query in questions}, split, self.dev_fraction)
        if not ids:
            raise UserError(
                f"{self.questions_file}: no question of {language} for {split}; change dev_fraction"
            )
        return Collection(
            f"xor-tydi/{language}",
            split,
            self._documents(),
            Queries.from_texts(language, {query: questions[query].text for query in ids}),
            qrels={},
            answers={query: questions[query].answers for query in ids},
        )

    @read_once
    def _questions(self) -> tuple["Question", ...]:
        remedy = "fetch xor_dev_retrieve_eng_span_v1_1.jsonl from nlp.cs.washington.edu/xorqa"
        check_file("data.collections.questions_file", self.questions_file, remedy)
        return tuple(read_questions(self.questions_file))

    @read_once
    def _documents(self) -> Documents:
        dataset = IrDataset(self.documents).documents_dataset()
        return self.packed(dataset, dataset.documents_language() or ENGLISH)


@dataclass(frozen=True)
class Question:
    """A question and the strings that answer it."""

    id: str
    language: str
    text: str
    answers: tuple[str, ...]


def read_questions(path: Path) -> Iterator[Question]:
    """Every question of a JSON Lines file with `id`, `lang`, `question` and `answers`, without blank answers.

    Raises:
        UserError: a field is missing, an id is repeated, or the file cannot be read.
    """
    seen: set[str] = set()
    for number, value in read_objects(path):
        question, language, text = (
            usable(text_field(path, number, value, name)) for name in ("id", "lang", "question")
        )
        if question in seen:
            raise UserError(
                f"{path}:{number}: question id {question!r} is repeated; give each question a distinct id"
            )
        seen.add(question)
        answers = value.get("answers")
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise UserError(
                f"{path}:{number}: no list of answers; the published test file has none to score by"
            )
        yield Question(
            question, language, text, tuple(well_formed(answer) for answer in answers if answer.strip())
        )
