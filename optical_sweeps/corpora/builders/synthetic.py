"""The synthetic corpus: a family of invented languages, with gold alignments and a small collection."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import count
from random import Random
from types import MappingProxyType

from optical_sweeps.checks import number_between, whole_number
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.builders.language_family import (
    Alignment,
    BaseLanguage,
    Daughter,
    DaughterLanguage,
    Lexeme,
    Sentence,
    checked_daughter,
)
from optical_sweeps.corpora.collections import Collection, Documents, Queries, RelevantPair, Split
from optical_sweeps.corpora.concepts import SplitName, split_of
from optical_sweeps.corpora.settings import ENGLISH, requested_language, split_fractions
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

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


@dataclass(frozen=True)
class SyntheticCorpus:
    """A language family as a corpus; everything follows from the settings and the seed.

    A document is a sentence about a topic, a query the gist of one document in a daughter language. Qrels:
    the document itself 2, other documents on its topic 1. Splits are by topic; no noun phrase of the bitext
    is the topic of a dev or test document.

    Args:
        daughters: name -> settings of a daughter language (see `Daughter`).
        lexicon_size: lexemes of the base language.
        zipf_exponent: word frequency ~ 1 / rank^exponent within a word class.
        topics: number of topics.
        documents_per_topic: documents on each.
        dev_fraction: expected share of topics in dev.
        test_fraction: expected share of topics in test.
        seed: another seed, another family.

    Raises:
        UserError: a bad setting; the message names its key.
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    daughters: Mapping[str, Daughter] = field(default_factory=lambda: DAUGHTERS, hash=False)
    lexicon_size: int = 400
    zipf_exponent: float = 1.0
    topics: int = 150
    documents_per_topic: int = 4
    dev_fraction: float = 0.2
    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "daughters", _checked_daughters(self.daughters))
        whole_number("data.lexicon_size", self.lexicon_size, least=20)
        whole_number("data.topics", self.topics, least=1)
        whole_number("data.documents_per_topic", self.documents_per_topic, least=1)
        whole_number("data.seed", self.seed, least=0)
        exponent = number_between("data.zipf_exponent", self.zipf_exponent, 0.0, 2.0)
        dev_fraction, test_fraction = split_fractions("data", self.dev_fraction, self.test_fraction)
        object.__setattr__(self, "zipf_exponent", exponent)
        object.__setattr__(self, "dev_fraction", dev_fraction)
        object.__setattr__(self, "test_fraction", test_fraction)
        if self.topics > self.lexicon_size:  # more, and drawing distinct ones by frequency takes long
            raise UserError(
                f"data.topics: {self.topics} topics need as many words; set at most {self.lexicon_size}, "
                "or raise data.lexicon_size"
            )

    @property
    def name(self) -> str:
        return "synthetic"

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.daughters)

    def fingerprint(self) -> str:
        """A hash of every document, query and pair."""
        return self._fingerprint

    def bitext(self, language: str) -> Bitext:
        """Random sentences; pair k has the same English sentence in every language."""
        requested_language(language, self.daughters, "data.daughters")
        sentences = self._sentences[: self.daughters[language].pairs]
        english = tuple(self._base.text(sentence) for sentence in sentences)
        return Bitext(language, english, tuple(text for text, _ in self._translations(language)))

    def alignments(self, language: str) -> tuple[Alignment, ...]:
        """For each pair of the bitext, its links (word of the translation, word of the English sentence)."""
        requested_language(language, self.daughters, "data.daughters")
        return tuple(alignment for _, alignment in self._translations(language))

    def documents(self) -> Documents:
        """The documents of all topics."""
        return self._documents

    def collection(self, language: str, split: Split) -> Collection:
        """Queries for the documents of one split, over all documents."""
        requested_language(language, self.daughters, "data.daughters")
        documents = self._documents_of(split, f"data.{split}_fraction")
        daughter = self._daughter_languages[language]
        # the same id in every language: a bootstrap over items then knows that they are one item
        query_ids = tuple(document.id for document in documents)
        queries = Queries(language, query_ids, tuple(daughter.translate(d.query)[0] for d in documents))
        qrels = {query: self._grades(d) for query, d in zip(query_ids, documents, strict=True)}
        return Collection(f"{self.name}.{language}", split, self._documents, queries, qrels)

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """(English query, document) of every train document."""
        return tuple(
            RelevantPair(self._base.text(document.query), self._base.text(document.sentence), document.topic)
            for document in self._documents_of("train", "data.dev_fraction")
        )

    def _translations(self, language: str) -> list[tuple[str, Alignment]]:
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

    # cached_property writes into the instance's __dict__, which a frozen dataclass without slots allows.
    @cached_property
    def _base(self) -> BaseLanguage:
        return BaseLanguage(self.lexicon_size, self.zipf_exponent, self.seed)

    @cached_property
    def _daughter_languages(self) -> dict[str, DaughterLanguage]:
        return {name: DaughterLanguage(name, self._base, daughter) for name, daughter in self.daughters.items()}

    @cached_property
    def _topic_phrases(self) -> dict[str, tuple[Lexeme, Lexeme]]:
        """Topic -> its (adjective, noun), each pair once."""
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
            split = split_of(topic, self.dev_fraction, self.test_fraction, self.seed)
            random = self._random(f"documents.{topic}")
            for number in range(self.documents_per_topic):
                subject = (self._base.draw("determiner", random), *phrase)
                sentence = self._base.sentence(subject, random)
                id_ = f"{topic.replace(' ', '-')}-{number}"
                documents.append(TopicDocument(id_, topic, split, sentence, _gist(sentence)))
        return tuple(documents)

    @cached_property
    def _documents(self) -> Documents:
        return Documents(
            ENGLISH,
            tuple(document.id for document in self._topic_documents),
            tuple(self._base.text(document.sentence) for document in self._topic_documents),
        )

    @cached_property
    def _sentences(self) -> tuple[Sentence, ...]:
        """Sentences of the bitext, as many as the largest one needs."""
        held_out = {
            self._topic_phrases[document.topic]
            for document in self._topic_documents
            if document.split != "train"
        }
        wanted = max(daughter.pairs for daughter in self.daughters.values())
        sentences: list[Sentence] = []
        for number in count():
            if len(sentences) == wanted:
                break
            random = self._random(f"bitext.{number}")
            sentence = self._base.sentence(self._base.noun_phrase(random), random)
            if held_out.isdisjoint(zip(sentence.lexemes, sentence.lexemes[1:], strict=False)):
                sentences.append(sentence)
        return tuple(sentences)

    @cached_property
    def _fingerprint(self) -> str:
        texts = ["synthetic", *self._documents.ids, *self._documents.texts]
        texts += [document.split for document in self._topic_documents]
        for language, daughter in self._daughter_languages.items():
            texts += [language, repr(asdict(self.daughters[language]))]
            texts += [daughter.translate(document.query)[0] for document in self._topic_documents]
            texts += self.bitext(language).translations
        return fingerprint_of_texts(texts)

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


def _checked_daughters(value: object) -> Mapping[str, Daughter]:
    if not isinstance(value, Mapping) or not value:
        raise UserError("data.daughters: not a mapping of language to settings; write {far: {cognates: 0.1}}")
    for name in value:
        if not isinstance(name, str) or name == ENGLISH:
            raise UserError(f"data.daughters: {name!r} cannot be a daughter's name; write another one")
    return {name: checked_daughter(f"data.daughters.{name}", daughter) for name, daughter in value.items()}
