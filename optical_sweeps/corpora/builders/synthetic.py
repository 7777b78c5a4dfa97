"""The synthetic corpus: a family of invented languages, with gold alignments and a small collection."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import count
from random import Random
from types import MappingProxyType
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BeforeValidator

from optical_sweeps.checks import Count, Fraction, NonNegativeInt
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.builders.language_family import (
    Alignment,
    BaseLanguage,
    Daughter,
    DaughterLanguage,
    Lexeme,
    Sentence,
)
from optical_sweeps.corpora.collections import Collection, Documents, Queries, RelevantPair, Split
from optical_sweeps.corpora.concepts import ConceptSplits, SplitName
from optical_sweeps.corpora.languages import ENGLISH, requested_language
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import key_of, nested, settings

DAUGHTERS: Mapping[str, Daughter] = MappingProxyType(
    {
        "near": Daughter(cognates=0.9),
        "shifted": Daughter(cognates=0.9, sound_changes=5, script="cyrillic"),
        "inverted": Daughter(cognates=0.7, word_order="SOV", adjective_after_noun=True, postpositions=True),
        "fusing": Daughter(pairs=300, cognates=0.4, fused_determiners=0.9, word_order="SOV"),
        "splitting": Daughter(pairs=300, cognates=0.4, split_words=0.4, script="greek"),
        "distant": Daughter(
            pairs=300,
            cognates=0.1,
            sound_changes=8,
            word_order="VSO",
            adjective_after_noun=True,
            fused_determiners=0.5,
            split_words=0.2,
            script="hebrew",
        ),
    }
)


@dataclass(frozen=True)
class TopicDocument:
    """One document: a sentence about its topic (an adjective and a noun), and a query for it."""

    id: str
    topic: str
    split: SplitName
    sentence: Sentence
    query: Sentence


def _daughters(value: object) -> Mapping[str, Daughter]:
    if not isinstance(value, Mapping) or not value:
        raise ValueError("not a mapping of language to settings; write {far: {cognates: 0.1}}")
    for name in value:
        if not isinstance(name, str) or name == ENGLISH:
            raise ValueError(f"{name!r} cannot be a daughter's name; write another one")
    return {
        name: nested(Daughter, f"{key_of('daughters')}.{name}", daughter) for name, daughter in value.items()
    }


@settings("data", kw_only=True)
class SyntheticCorpus(ConceptSplits):
    """A language family as a corpus, determined by the settings and the seed.

    A document is a sentence about a topic, and a query the gist of one document in a daughter language. Qrels:
    the document itself has grade 2, other documents on its topic 1. Splits are by topic; no noun phrase of the
    bitext is the topic of a dev or test document.

    Args:
        daughters: name -> settings of a daughter language (see `Daughter`).
        lexicon_size: lexemes of the base language.
        zipf_exponent: word frequency ~ 1 / rank^exponent within a word class.
        topics: number of topics.
        documents_per_topic: documents on each topic.
        dev_fraction: expected share of topics in dev.
        test_fraction: expected share of topics in test.
        seed: seed of the family and the texts.
    """

    daughters: Annotated[Mapping[str, Daughter], BeforeValidator(_daughters)] = field(
        default_factory=lambda: DAUGHTERS, hash=False
    )
    lexicon_size: Annotated[int, Ge(20)] = 400
    zipf_exponent: Annotated[float, Ge(0), Le(2)] = 1.0
    topics: Count = 150
    documents_per_topic: Count = 4
    dev_fraction: Fraction = 0.2
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.topics > self.lexicon_size:  # drawing distinct topics by frequency would take long
            raise UserError(
                f"{key_of('topics')}: {self.topics} topics need as many words; set at most "
                f"{self.lexicon_size}, or raise {key_of('lexicon_size')}"
            )

    @property
    def name(self) -> str:
        return "synthetic"

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.daughters)

    @read_once
    def fingerprint(self) -> str:
        """A hash of every document, query and pair."""
        texts = ["synthetic", *self.documents().ids, *self.documents().texts]
        texts += [document.split for document in self._topic_documents]
        for language, daughter in self._daughter_languages.items():
            texts += [language, repr(asdict(self.daughters[language]))]
            texts += [daughter.translate(document.query)[0] for document in self._topic_documents]
            texts += self.bitext(language).translations
        return fingerprint_of_texts(texts)

    def bitext(self, language: str) -> Bitext:
        """Random sentences; pair k has the same English sentence in every language."""
        translations = self._translations(language)
        english = tuple(self._base.text(sentence) for sentence in self._sentences[: len(translations)])
        return Bitext(language, english, tuple(text for text, _ in translations))

    def alignments(self, language: str) -> tuple[Alignment, ...]:
        """For each pair of the bitext, its links (word of the translation, word of the English sentence)."""
        return tuple(alignment for _, alignment in self._translations(language))

    @read_once
    def documents(self) -> Documents:
        """The documents of all topics."""
        return Documents(
            ENGLISH,
            tuple(document.id for document in self._topic_documents),
            tuple(self._base.text(document.sentence) for document in self._topic_documents),
        )

    def collection(self, language: str, split: Split) -> Collection:
        """Queries for the documents of one split, over all documents."""
        requested_language(language, self.daughters, "data.daughters")
        documents = self._documents_of(split, f"data.{split}_fraction")
        daughter = self._daughter_languages[language]
        # the same ids in every language, so that a bootstrap over items can pair them
        queries = Queries.from_texts(language, {d.id: daughter.translate(d.query)[0] for d in documents})
        qrels = {d.id: self._grades(d) for d in documents}
        return Collection(f"{self.name}.{language}", split, self.documents(), queries, qrels)

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """(English query, document) of every train document."""
        return tuple(
            RelevantPair(self._base.text(document.query), self._base.text(document.sentence), document.topic)
            for document in self._documents_of("train", "data.dev_fraction")
        )

    def _translations(self, language: str) -> list[tuple[str, Alignment]]:
        requested_language(language, self.daughters, "data.daughters")
        daughter = self._daughter_languages[language]
        return [daughter.translate(s) for s in self._sentences[: self.daughters[language].pairs]]

    def _documents_of(self, split: SplitName, key: str) -> list[TopicDocument]:
        documents = [document for document in self._topic_documents if document.split == split]
        if not documents:
            raise UserError(f"{key}: no topic falls into {split}; change the fraction or raise data.topics")
        return documents

    def _grades(self, document: TopicDocument) -> dict[str, int]:
        same_topic = (other.id for other in self._topic_documents if other.topic == document.topic)
        return {other: 2 if other == document.id else 1 for other in same_topic}

    @cached_property
    def _base(self) -> BaseLanguage:
        return BaseLanguage(self.lexicon_size, self.zipf_exponent, self.seed)

    @cached_property
    def _daughter_languages(self) -> dict[str, DaughterLanguage]:
        return {name: DaughterLanguage(name, self._base, daughter) for name, daughter in self.daughters.items()}

    @cached_property
    def _topic_phrases(self) -> dict[str, tuple[Lexeme, Lexeme]]:
        """Topic -> its distinct (adjective, noun)."""
        random = self._random("topics")
        phrases: dict[str, tuple[Lexeme, Lexeme]] = {}
        while len(phrases) < self.topics:
            phrase = self._base.draw("adjective", random), self._base.draw("noun", random)
            phrases.setdefault(" ".join(map(self._base.form, phrase)), phrase)
        return phrases

    @cached_property
    def _topic_documents(self) -> tuple[TopicDocument, ...]:
        documents = []
        for topic, phrase in self._topic_phrases.items():
            split = self.split_of(topic, self.seed)
            random = self._random(f"documents.{topic}")
            for number in range(self.documents_per_topic):
                subject = (self._base.draw("determiner", random), *phrase)
                sentence = self._base.sentence(subject, random)
                document = f"{topic.replace(' ', '-')}-{number}"
                documents.append(TopicDocument(document, topic, split, sentence, _gist(sentence)))
        return tuple(documents)

    @cached_property
    def _sentences(self) -> tuple[Sentence, ...]:
        """The sentences of the largest bitext."""
        held_out = {
            self._topic_phrases[document.topic]
            for document in self._topic_documents
            if document.split != "train"
        }
        needed = max(daughter.pairs for daughter in self.daughters.values())
        sentences: list[Sentence] = []
        for number in count():
            if len(sentences) == needed:
                break
            random = self._random(f"bitext.{number}")
            sentence = self._base.sentence(self._base.noun_phrase(random), random)
            if held_out.isdisjoint(zip(sentence.lexemes, sentence.lexemes[1:], strict=False)):
                sentences.append(sentence)
        return tuple(sentences)

    def _random(self, name: str) -> Random:
        return Random(derive_seed(f"synthetic.{name}", self.seed))


def _gist(sentence: Sentence) -> Sentence:
    """Subject, verb and object without determiners."""
    return Sentence(
        tuple(
            (role, tuple(lexeme for lexeme in lexemes if lexeme.word_class != "determiner"))
            for role, lexemes in sentence.constituents
            if role in ("S", "V", "O")
        )
    )
