"""TyDi QA's gold passages as retrieval: a question, and the passage that answers it among all passages.

SQuAD's JSON; the language is the first part of a question's id (`finnish-...`), or a language's name in the
file's. A passage that several questions share is one document.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from optical_sweeps.checks import true_or_false, whole_number
from optical_sweeps.corpora.collections import Collection, Documents, Split
from optical_sweeps.corpora.judgements import at_most, judged_collection
from optical_sweeps.corpora.readers.opening import Damaged, open_bytes, unreadable
from optical_sweeps.corpora.settings import languages_among_all, requested_language
from optical_sweeps.errors import UserError

KEY = "data.collections"
LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "arabic": "ar",
        "bengali": "bn",
        "english": "en",
        "finnish": "fi",
        "indonesian": "id",
        "japanese": "ja",
        "korean": "ko",
        "russian": "ru",
        "swahili": "sw",
        "telugu": "te",
        "thai": "th",
    }
)


@dataclass(frozen=True)
class Question:
    """A question and its passage."""

    id: str
    language: str
    text: str
    title: str
    passage: str

    @property
    def document(self) -> str:
        """An id that follows from the passage, so that equal passages of both files are one document."""
        digest = hashlib.blake2b(self.passage.encode(), digest_size=8).hexdigest()
        return f"{self.language}-{digest}"


@dataclass(frozen=True, kw_only=True)
class TydiQaCollections:
    """Test questions from the dev file, dev questions from the train file, over the passages of both.

    Args:
        train_file: `tydiqa-goldp-v1.1-train.json`, packed or not.
        dev_file: `tydiqa-goldp-v1.1-dev.json`.
        languages: of the questions and their passages.
        dev_queries: at most so many dev questions of a language, by hash; null is all.
        titles: whether the title of its article stands before a passage, with a blank.

    Raises:
        UserError: a bad setting (at once), a missing or bad file (at first use).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    train_file: Path
    dev_file: Path
    languages: tuple[str, ...] = ("ar", "bn", "en", "fi", "id", "ko", "ru", "sw", "te")
    dev_queries: int | None = 300
    titles: bool = False

    def __post_init__(self) -> None:
        known = tuple(LANGUAGES.values())
        languages = languages_among_all(f"{KEY}.languages", self.languages, known, "TyDi QA")
        object.__setattr__(self, "languages", languages)
        for name in ("train_file", "dev_file"):
            object.__setattr__(self, name, Path(getattr(self, name)).expanduser())
        if self.dev_queries is not None:
            whole_number(f"{KEY}.dev_queries", self.dev_queries, least=1)
        true_or_false(f"{KEY}.titles", self.titles)

    @property
    def name(self) -> str:
        return "tydiqa"

    def collection(self, language: str, split: Split) -> Collection:
        """The questions of one language and split, over all passages of the language."""
        requested_language(language, self.languages, f"{KEY}.languages")
        return self._collections[language, split]

    @cached_property
    def _collections(self) -> dict[tuple[str, Split], Collection]:
        for name in ("train_file", "dev_file"):
            if not getattr(self, name).is_file():
                raise UserError(
                    f"{KEY}.{name}: there is no file {getattr(self, name)}; fetch it from "
                    "github.com/google-research-datasets/tydiqa (gold passage task)"
                )
        questions: dict[Split, list[Question]] = {
            "dev": list(read_questions(self.train_file)),
            "test": list(read_questions(self.dev_file)),
        }
        collections = {}
        for language in self.languages:
            documents = self._documents(language, [*questions["test"], *questions["dev"]])
            for split, asked in questions.items():
                own = [question for question in asked if question.language == language]
                qrels: Mapping[str, Mapping[str, int]] = {
                    question.id: {question.document: 1} for question in own
                }
                if split == "dev":
                    qrels = at_most(qrels, self.dev_queries)
                topics = {question.id: question.text for question in own}
                name = f"tydiqa/{language}"
                collections[language, split] = judged_collection(
                    name, split, documents, language, topics, qrels
                )
        return collections

    def _documents(self, language: str, questions: list[Question]) -> Documents:
        texts = {
            question.document: f"{question.title} {question.passage}".strip()
            if self.titles
            else question.passage
            for question in reversed(questions)  # of several titles of one passage the first counts
            if question.language == language
        }
        ordered = sorted(texts)
        return Documents(language, tuple(ordered), tuple(texts[document] for document in ordered))


def read_questions(path: Path) -> Iterator[Question]:
    """Every question of a SQuAD-style file.

    Raises:
        UserError: the file cannot be read, is no such JSON, or a question has no known language.
    """
    try:
        with open_bytes(path) as file:
            content = json.loads(file.read())
    except Damaged as error:
        raise UserError(f"{path}: {error}; fetch the file again") from None
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: no JSON ({str(error).splitlines()[0]}); fetch the file again") from None
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield _question(path, article, paragraph, question)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not laid out as SQuAD's files are ({error!r} is missing); check it") from None


def _question(path: Path, article: Any, paragraph: Any, question: Any) -> Question:
    """One question; its language by its id, or by the file's name in the per-language archive."""
    names = (str(question["id"]).split("-")[0], path.name.split(".")[0].split("-")[-1])
    language = next((LANGUAGES[name] for name in names if name in LANGUAGES), None)
    if language is None:
        raise UserError(
            f"{path}: question {question['id']!r} tells no language; its id begins with one, as finnish-"
        )
    title = str(article.get("title") or "").strip()
    return Question(
        str(question["id"]), language, question["question"].strip(), title, paragraph["context"].strip()
    )
