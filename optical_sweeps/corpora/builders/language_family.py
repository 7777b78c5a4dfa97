"""A family of invented languages: an English-like base, and daughters that differ from it by parameters.

Translations have gold word alignments, by which a soft alignment (a transport plan) can be scored.
"""

import math
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import Annotated, Literal, TypeVar

from annotated_types import Ge, Le

from optical_sweeps.checks import Count, Fraction
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import key_of, settings

T = TypeVar("T")
WordClass = Literal["determiner", "preposition", "adverb", "adjective", "verb", "noun"]
Role = Literal["S", "V", "O", "adverb", "place"]
Alignment = tuple[tuple[int, int], ...]
"""The sorted links (word of the translation, word of the English sentence)."""

CLASS_SHARES: Mapping[WordClass, float] = {
    "determiner": 0.01,
    "preposition": 0.02,
    "adverb": 0.07,
    "adjective": 0.2,
    "verb": 0.2,
    "noun": 0.5,
}
SYLLABLES: Mapping[WordClass, int] = {  # frequent classes have short words
    "determiner": 1,
    "preposition": 1,
    "adverb": 2,
    "adjective": 2,
    "verb": 2,
    "noun": 3,
}
CONSONANTS, VOWELS = "bdfghklmnprstvz", "aeiou"
SCRIPTS = {  # one letter for each of CONSONANTS + VOWELS
    "latin": CONSONANTS + VOWELS,
    "cyrillic": "бдфгхклмнпрствзаеиоу",
    "greek": "βδφγχκλμνπρστξζαεηου",
    "hebrew": "בדפגהכלמנקרסתוזאעיחט",
    "hiragana": "ばだふがはからまなぱりさたわざあえいおう",
}


@dataclass(frozen=True)
class Lexeme:
    """A lexicon entry of the base language; rank 0 is the most frequent of its class."""

    word_class: WordClass
    rank: int


@dataclass(frozen=True)
class Sentence:
    """Constituents in the order of the base language: a role and its lexemes each."""

    constituents: tuple[tuple[Role, tuple[Lexeme, ...]], ...]

    @property
    def lexemes(self) -> tuple[Lexeme, ...]:
        return tuple(lexeme for _, lexemes in self.constituents for lexeme in lexemes)


@dataclass(frozen=True)
class BaseLanguage:
    """A Zipfian lexicon with word classes, and a grammar: S V O, adverb, place.

    Args:
        lexicon_size: lexemes of all classes together.
        zipf_exponent: frequency ~ 1 / (rank + 1)^exponent, within a class.
        seed: seed of the word forms.
    """

    lexicon_size: int
    zipf_exponent: float
    seed: int

    def form(self, lexeme: Lexeme) -> str:
        """The written word."""
        return self._forms[lexeme]

    def text(self, sentence: Sentence) -> str:
        return " ".join(map(self.form, sentence.lexemes))

    @property
    def lexemes(self) -> tuple[Lexeme, ...]:
        return tuple(self._forms)

    def draw(self, word_class: WordClass, random: Random) -> Lexeme:
        """A lexeme of a class, by frequency."""
        cumulative = self._cumulative[word_class]
        return Lexeme(word_class, bisect(cumulative, random.random() * cumulative[-1]))

    def noun_phrase(self, random: Random) -> tuple[Lexeme, ...]:
        """[determiner] [adjective] noun."""
        phrase = [self.draw("determiner", random)] if random.random() < 0.7 else []
        phrase += [self.draw("adjective", random)] if random.random() < 0.5 else []
        return (*phrase, self.draw("noun", random))

    def sentence(self, subject: tuple[Lexeme, ...], random: Random) -> Sentence:
        """A sentence about `subject`."""
        constituents: list[tuple[Role, tuple[Lexeme, ...]]] = [
            ("S", subject),
            ("V", (self.draw("verb", random),)),
            ("O", self.noun_phrase(random)),
        ]
        if random.random() < 0.3:
            constituents.append(("adverb", (self.draw("adverb", random),)))
        if random.random() < 0.4:
            constituents.append(("place", (self.draw("preposition", random), *self.noun_phrase(random))))
        return Sentence(tuple(constituents))

    @cached_property
    def _forms(self) -> dict[Lexeme, str]:
        random = Random(derive_seed("synthetic.base", self.seed))
        forms: dict[str, Lexeme] = {}
        for word_class, share in CLASS_SHARES.items():
            for rank in range(max(2, round(share * self.lexicon_size))):
                lexeme = Lexeme(word_class, rank)
                form = new_form(lexeme, random)
                while form in forms:  # longer each time, since the number of short forms is finite
                    form += new_form(Lexeme("determiner", 0), random)
                forms[form] = lexeme
        return {lexeme: form for form, lexeme in forms.items()}

    @cached_property
    def _cumulative(self) -> dict[WordClass, list[float]]:
        sizes = dict.fromkeys(CLASS_SHARES, 0)
        for lexeme in self._forms:
            sizes[lexeme.word_class] += 1
        return {
            word_class: list(accumulate((rank + 1) ** -self.zipf_exponent for rank in range(size)))
            for word_class, size in sizes.items()
        }


@settings("data.daughters")
class Daughter:
    """How a daughter language differs from the base.

    Args:
        pairs: size of its bitext.
        cognates: share of lexemes whose words descend from the base's by regular sound changes; the others
            are new words.
        sound_changes: number of consonants that are exchanged in every cognate (0, or at least 2).
        word_order: order of subject, verb and object.
        adjective_after_noun: whether adjectives follow their noun.
        postpositions: whether adpositions follow their noun phrase.
        fused_determiners: share of nouns that take their determiner as an ending (one word for two).
        split_words: share of content lexemes that are two words (two words for one).
        script: writing system.
    """

    pairs: Count = 600
    cognates: Fraction = 0.8
    sound_changes: Annotated[int, Ge(0), Le(len(CONSONANTS))] = 2
    word_order: Literal["SVO", "SOV", "VSO", "VOS", "OSV", "OVS"] = "SVO"
    adjective_after_noun: bool = False
    postpositions: bool = False
    fused_determiners: Fraction = 0.0
    split_words: Fraction = 0.0
    script: Literal["latin", "cyrillic", "greek", "hebrew", "hiragana"] = "latin"

    def __post_init__(self) -> None:
        if self.sound_changes == 1:
            raise UserError(
                f"{key_of('sound_changes')}: one consonant cannot be exchanged alone; set 0, or at least 2"
            )


@dataclass(frozen=True)
class DaughterLanguage:
    """A daughter of a base language: its lexicon and grammar."""

    name: str
    base: BaseLanguage
    daughter: Daughter

    def translate(self, sentence: Sentence) -> tuple[str, Alignment]:
        """The sentence in this language, and its word alignment with the English sentence."""
        words: list[str] = []
        links: list[tuple[int, int]] = []
        for form, english in self._words(sentence):
            links += [(len(words), index) for index in english]
            words.append(form)
        return " ".join(words), tuple(sorted(links))

    def forms(self, lexeme: Lexeme) -> tuple[str, ...]:
        """The one or two written words of a lexeme."""
        return self._forms[lexeme]

    def _words(self, sentence: Sentence) -> Iterator[tuple[str, tuple[int, ...]]]:
        """(word, indices of the English words it translates), in this language's order."""
        starts = accumulate((len(lexemes) for _, lexemes in sentence.constituents), initial=0)
        by_role = {
            role: [(lexeme, start + i) for i, lexeme in enumerate(lexemes)]
            for (role, lexemes), start in zip(sentence.constituents, starts, strict=False)
        }
        for role in (*self.daughter.word_order, "adverb", "place"):
            yield from self._phrase(by_role.get(role, []))

    def _phrase(self, phrase: Sequence[tuple[Lexeme, int]]) -> Iterator[tuple[str, tuple[int, ...]]]:
        by_class = {lexeme.word_class: (lexeme, index) for lexeme, index in phrase}
        noun = by_class.get("noun")
        ending = by_class.pop("determiner") if "determiner" in by_class and self._fuses(noun) else None
        order = ["determiner", "adjective", "noun", "verb", "adverb"]
        if self.daughter.adjective_after_noun:
            order = ["determiner", "noun", "adjective", "verb", "adverb"]
        order.insert(len(order) if self.daughter.postpositions else 0, "preposition")
        for word_class in order:
            if word_class not in by_class:
                continue
            lexeme, index = by_class[word_class]
            *first, last = self.forms(lexeme)
            yield from ((form, (index,)) for form in first)
            if word_class == "noun" and ending is not None:
                yield last + "".join(self.forms(ending[0])), (index, ending[1])
            else:
                yield last, (index,)

    def _fuses(self, noun: tuple[Lexeme, int] | None) -> bool:
        return noun is not None and noun[0] in self._fusing

    @cached_property
    def _fusing(self) -> frozenset[Lexeme]:
        nouns = [lexeme for lexeme in self.base.lexemes if lexeme.word_class == "noun"]
        return frozenset(self._share(nouns, self.daughter.fused_determiners, "fused"))

    @cached_property
    def _forms(self) -> dict[Lexeme, tuple[str, ...]]:
        cognates = set(self._share(self.base.lexemes, self.daughter.cognates, "cognates"))
        content = [lexeme for lexeme in self.base.lexemes if lexeme.word_class in ("noun", "verb", "adjective")]
        split = set(self._share(content, self.daughter.split_words, "split"))
        changes, script = self._sound_changes(), SCRIPTS[self.daughter.script]
        letters = str.maketrans(CONSONANTS + VOWELS, script)
        forms = {}
        for lexeme in self.base.lexemes:
            random = self._random(f"form.{lexeme.word_class}.{lexeme.rank}")
            form = self.base.form(lexeme).translate(changes) if lexeme in cognates else new_form(lexeme, random)
            particle = (new_form(Lexeme("determiner", 0), random),) if lexeme in split else ()
            forms[lexeme] = tuple(word.translate(letters) for word in (form, *particle))
        return forms

    def _sound_changes(self) -> dict[int, str]:
        """A cycle through some consonants, so that different words of the base stay different."""
        changed = self._shuffled(CONSONANTS, "sounds")[: self.daughter.sound_changes]
        return str.maketrans(dict(zip(changed, [*changed[1:], *changed[:1]], strict=True)))

    def _share(self, lexemes: Sequence[Lexeme], share: float, name: str) -> list[Lexeme]:
        """A share of lexemes; a larger share contains a smaller one."""
        return self._shuffled(lexemes, name)[: math.floor(share * len(lexemes) + 0.5)]

    def _shuffled(self, items: Sequence[T], name: str) -> list[T]:
        random = self._random(name)
        keys = [random.random() for _ in items]  # `random.shuffle` may differ between Python versions
        return [items[i] for i in sorted(range(len(items)), key=keys.__getitem__)]

    def _random(self, name: str) -> Random:
        return Random(derive_seed(f"synthetic.{self.name}.{name}", self.base.seed))


def new_form(lexeme: Lexeme, random: Random) -> str:
    """A random word of open syllables."""
    return "".join(
        CONSONANTS[int(random.random() * len(CONSONANTS))] + VOWELS[int(random.random() * len(VOWELS))]
        for _ in range(SYLLABLES[lexeme.word_class])
    )
