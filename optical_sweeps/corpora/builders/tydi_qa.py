"""TyDi QA's gold passages as retrieval: a question, and its passage among all passages.

The files are SQuAD's JSON. The language is the first part of a question's id (`finnish-...`), or the name of a
language in the file's name. A passage that several questions share is one document.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypedDict

from optical_sweeps.checks import Count, FilePath, Strings, check_file
from optical_sweeps.corpora.collections import Collection, Documents, Qrels, Split
from optical_sweeps.corpora.judgements import judged_collection, sampled_queries
from optical_sweeps.corpora.languages import known_languages, requested_language
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.corpora.readers.opening import open_bytes
from optical_sweeps.corpora.well_formed import well_formed
from optical_sweeps.errors import UserError
from optical_sweeps.limits import parse_json
from optical_sweeps.settings import settings

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
        """The passage's id, a hash of it: equal passages of both files are one document."""
        digest = hashlib.blake2b(self.passage.encode(), digest_size=8).hexdigest()
        return f"{self.language}-{digest}"


@settings("data.collections", kw_only=True)
class TydiQaCollections:
    """Test questions from the dev file, dev questions from the train file, over the passages of both.

    Args:
        train_file: `tydiqa-goldp-v1.1-train.json`, compressed or not.
        dev_file: `tydiqa-goldp-v1.1-dev.json`.
        languages: languages of the questions and their passages.
        dev_queries: largest number of dev questions of a language, chosen by hash; null is all.
        titles: whether the title of its article precedes a passage, separated by a blank.

    Raises:
        UserError: a bad setting (at construction), a missing or bad file (at first use).
    """

    train_file: FilePath
    dev_file: FilePath
    languages: Annotated[Strings, known_languages(LANGUAGES.values(), "TyDi QA")] = (
        "ar", "bn", "en", "fi", "id", "ko", "ru", "sw", "te",
    )  # fmt: skip
    dev_queries: Count | None = 300
    titles: bool = False

    @property
    def name(self) -> str:
        return "tydiqa"

    @read_once
    def collection(self, language: str, split: Split) -> Collection:
        """The questions of one language and split, over all passages of the language."""
        requested_language(language, self.languages, "data.collections.languages")
        questions = [question for question in self._questions(split) if question.language == language]
        qrels: Qrels = {question.id: {question.document: 1} for question in questions}
        if split == "dev":
            qrels = sampled_queries(qrels, self.dev_queries)
        topics = {question.id: question.text for question in questions}
        return judged_collection(
            f"tydiqa/{language}", split, self._documents(language), language, topics, qrels
        )

    @read_once
    def _questions(self, split: Split) -> list[Question]:
        name = "train_file" if split == "dev" else "dev_file"
        path = self.train_file if split == "dev" else self.dev_file
        source = "github.com/google-research-datasets/tydiqa (gold passage task)"
        check_file(f"data.collections.{name}", path, f"fetch it from {source}")
        return list(read_questions(path))

    @read_once
    def _documents(self, language: str) -> Documents:
        texts = {
            question.document: f"{question.title} {question.passage}".strip()
            if self.titles
            else question.passage
            # reversed, so that a passage with several titles has the first of them
            for question in reversed([*self._questions("test"), *self._questions("dev")])
            if question.language == language
        }
        ordered = sorted(texts)
        return Documents(language, tuple(ordered), tuple(texts[document] for document in ordered))


class _Answered(TypedDict):
    id: str
    question: str


class _Paragraph(TypedDict):
    context: str
    qas: list[_Answered]


class _Article(TypedDict, total=False):
    title: str | None
    paragraphs: list[_Paragraph]


def read_questions(path: Path) -> Iterator[Question]:
    """Every question of a SQuAD-style file; half surrogate pairs become U+FFFD.

    Raises:
        UserError: the file cannot be read, has another layout, or the language of a question is unknown or its
            id is repeated.
    """
    with open_bytes(path) as file:
        data = file.read()
    seen: set[str] = set()
    try:
        articles: list[_Article] = parse_json(data)["data"]
        for article in articles:
            for paragraph in article["paragraphs"]:
                for answered in paragraph["qas"]:
                    question = _question(path, article, paragraph, answered)
                    if question.id in seen:
                        raise UserError(
                            f"{path}: question id {question.id!r} is repeated; give each question a distinct id"
                        )
                    seen.add(question.id)
                    yield question
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({str(error).splitlines()[0]}); fetch the file again") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: its layout is not that of SQuAD's files ({error!r}); check it") from None


def _question(path: Path, article: _Article, paragraph: _Paragraph, question: _Answered) -> Question:
    """One question; its language is in its id, or in the file's name (the archive of files by language)."""
    identifier = well_formed(str(question["id"]))
    names = (identifier.split("-")[0], path.name.split(".")[0].split("-")[-1])
    language = next((LANGUAGES[name] for name in names if name in LANGUAGES), None)
    if language is None:
        raise UserError(
            f"{path}: question {identifier!r} names no language; its id must begin with one, such as finnish-"
        )
    title, text, passage = (
        well_formed(text).strip()
        for text in (str(article.get("title") or ""), question["question"], paragraph["context"])
    )
    return Question(identifier, language, text, title, passage)
