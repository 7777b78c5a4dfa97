"""The emoji corpus: names of 1,923 emoji in 13 languages, from the `emoji` package (Unicode CLDR names).

Query = the name in language L; document = the English name and its aliases; nothing is downloaded.
"""

import importlib
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from optical_sweeps.checks import whole_number
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.collections import Collection, Documents, Queries, RelevantPair, Split
from optical_sweeps.corpora.concepts import SplitName, merge_concepts, split_of
from optical_sweeps.corpora.settings import ENGLISH, languages_among, requested_language, split_fractions
from optical_sweeps.errors import UserError

LANGUAGES = ("ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")

ZWJ, VARIATION_SELECTOR = "\u200d", "\ufe0f"
SKIN_TONES = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
MODIFIERS = frozenset("♀♂➡")  # as a part of a sequence: a gender, or "facing right"
PERSON, CHILD, HEART, KISS_MARK, HANDSHAKE = "🧑", "🧒", "❤", "💋", "🤝"
FAMILY, COUPLE_WITH_HEART, KISS, HOLDING_HANDS = "👪", "💑", "💏", "👫"
NEUTRAL = {"👨": PERSON, "👩": PERSON, "👦": CHILD, "👧": CHILD}
SAME_CONCEPT = {  # gendered emoji with a code point of their own
    "👴": "🧓",
    "👵": "🧓",
    "🤴": "🫅",
    "👸": "🫅",
    "🫃": "🫄",
    "🤰": "🫄",
    "🎅": "🧑🎄",
    "🤶": "🧑🎄",
    "🕺": "💃",
    "👬": HOLDING_HANDS,
    "👭": HOLDING_HANDS,
}


@dataclass(frozen=True)
class EmojiEntry:
    """One emoji: its code points in hex, base concept, split, and cleaned texts."""

    id: str
    concept: str
    split: SplitName
    name: str
    aliases: tuple[str, ...]
    translations: dict[str, str]

    @property
    def document(self) -> str:
        return ", ".join((self.name, *self.aliases))


@dataclass(frozen=True)
class EmojiCorpus:
    """Emoji names as a cross-lingual collection with splits by base concept.

    Qrels: the emoji itself 2, other emoji of its concept (other genders, hair, family members) 1.

    Args:
        languages: languages to serve, of the 13 that the emoji package names emoji in.
        dev_fraction: expected share of concepts in dev.
        test_fraction: expected share of concepts in test; the rest is for training.
        split_seed: another seed, another split.

    Raises:
        UserError: a bad setting (the message names its key), or the emoji package is missing.
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    languages: tuple[str, ...] = LANGUAGES
    dev_fraction: float = 0.1
    test_fraction: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        languages = languages_among("data.languages", self.languages, LANGUAGES, "the emoji package")
        dev_fraction, test_fraction = split_fractions("data", self.dev_fraction, self.test_fraction)
        object.__setattr__(self, "languages", languages)
        object.__setattr__(self, "dev_fraction", dev_fraction)
        object.__setattr__(self, "test_fraction", test_fraction)
        whole_number("data.split_seed", self.split_seed, least=0)
        _emoji_package()

    @property
    def name(self) -> str:
        return "emoji"

    def fingerprint(self) -> str:
        """A hash of every text, concept and split, in collection order."""
        return self._fingerprint

    def bitext(self, language: str) -> Bitext:
        """(name in `language`, English name) of every train emoji."""
        requested_language(language, self.languages)
        train = self._entries_of("train", needed_for="data.dev_fraction")
        return Bitext(language, tuple(e.name for e in train), tuple(e.translations[language] for e in train))

    def documents(self) -> Documents:
        """One English document per emoji of all splits: its name and aliases."""
        return self._documents

    def collection(self, language: str, split: Split) -> Collection:
        """Names in `language` of the emoji of one split, over all documents."""
        requested_language(language, self.languages)
        entries = self._entries_of(split, needed_for=f"data.{split}_fraction")
        # the same id in every language: a bootstrap over items then knows that they are one item
        query_ids = tuple(e.id for e in entries)
        queries = Queries(language, query_ids, tuple(e.translations[language] for e in entries))
        qrels = {query: self._grades(e) for query, e in zip(query_ids, entries, strict=True)}
        return Collection(f"{self.name}.{language}", split, self._documents, queries, qrels)

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """(alias, English name and other aliases) for each alias of the train emoji."""
        # The document is the index's document without the query: with the alias left in, matching it word for
        # word is all there is to learn; with the name alone, the teacher never sees the index's kind of text.
        return tuple(
            RelevantPair(alias, ", ".join((e.name, *(a for a in e.aliases if a != alias))), e.concept)
            for e in self._entries_of("train", needed_for="data.dev_fraction")
            for alias in e.aliases
        )

    def _entries_of(self, split: SplitName, needed_for: str) -> tuple[EmojiEntry, ...]:
        entries = tuple(e for e in self._entries if e.split == split)
        if not entries:
            raise UserError(f"{needed_for}: no emoji falls into {split}; change the fraction")
        return entries

    def _grades(self, entry: EmojiEntry) -> dict[str, int]:
        return {other: 2 if other == entry.id else 1 for other in self._ids_of_concept[entry.concept]}

    # cached_property writes into the instance's __dict__, which a frozen dataclass without slots allows.
    @cached_property
    def _entries(self) -> tuple[EmojiEntry, ...]:
        data = _named_emoji()
        texts = {symbol: _english_texts(names) for symbol, names in data.items()}
        concepts = merge_concepts(
            {
                _code_points(symbol): [("sequence", base_sequence(symbol)), *map(identity_of, english)]
                for symbol, english in texts.items()
            }
        )
        return tuple(
            self._entry(symbol, concepts[_code_points(symbol)], texts[symbol], names)
            for symbol, names in data.items()
        )

    def _entry(self, symbol: str, concept: str, texts: tuple[str, ...], names: dict[str, Any]) -> EmojiEntry:
        return EmojiEntry(
            id=_code_points(symbol),
            concept=concept,
            split=split_of(concept, self.dev_fraction, self.test_fraction, self.split_seed),
            name=texts[0],
            aliases=texts[1:],
            translations={language: clean(names[language]) for language in self.languages},
        )

    @cached_property
    def _documents(self) -> Documents:
        return Documents(ENGLISH, tuple(e.id for e in self._entries), tuple(e.document for e in self._entries))

    @cached_property
    def _ids_of_concept(self) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = {}
        for entry in self._entries:
            ids.setdefault(entry.concept, []).append(entry.id)
        return ids

    @cached_property
    def _fingerprint(self) -> str:
        texts = ["emoji", *self.languages]
        for e in self._entries:
            texts += [e.id, e.concept, e.split, e.name, *e.aliases, *e.translations.values()]
        return fingerprint_of_texts(texts)


def clean(name: str) -> str:
    """The words of an emoji's name.

    >>> clean(":woman_surfing:")
    'woman surfing'
    """
    return " ".join(name.strip(":").replace("_", " ").split())


def identity_of(text: str) -> str:
    """What two English texts share if they are the same but for case, accents and punctuation.

    `+`, `#`, `*` and a leading `-` count: they are all that tells +1 from -1 and the keycaps apart.

    >>> identity_of("woman’s piñata") == identity_of("Womans pinata"), identity_of("-1") == identity_of("+1")
    (True, False)
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    kept = "".join(c for c in decomposed if not unicodedata.combining(c) and c not in "’'")
    return " ".join(re.findall(r"[\w+#*]+|(?<!\w)-\w+", kept))


def base_sequence(symbol: str) -> str:
    """The base concept of an emoji sequence: without skin tone, gender, direction, or who is in the family.

    >>> base_sequence("👩🏽\u200d🍳") == base_sequence("🧑\u200d🍳") != base_sequence("🍳")
    True
    """
    bare = "".join(c for c in symbol if c not in SKIN_TONES and c != VARIATION_SELECTOR)
    parts = [NEUTRAL.get(part, part) for part in bare.split(ZWJ)]
    parts = parts[:1] + [part for part in parts[1:] if part not in MODIFIERS]
    if len(parts) > 1 and set(parts) <= {PERSON, CHILD}:
        return FAMILY
    if PERSON in parts and HEART in parts:
        return KISS if KISS_MARK in parts else COUPLE_WITH_HEART
    if PERSON in parts and HANDSHAKE in parts:
        return HOLDING_HANDS
    sequence = "".join(parts)
    return SAME_CONCEPT.get(sequence, sequence)


def _english_texts(names: dict[str, Any]) -> tuple[str, ...]:
    """The English name, then the aliases that say something else, each once."""
    distinct: dict[str, str] = {}
    for name in (names[ENGLISH], *names.get("alias", ())):
        distinct.setdefault(identity_of(clean(name)), clean(name))
    return tuple(distinct.values())


def _code_points(symbol: str) -> str:
    return "-".join(f"{ord(c):x}" for c in symbol)


def _named_emoji() -> dict[str, dict[str, Any]]:
    """Fully qualified emoji without skin tone -> their names; those named in all 13 languages only."""
    package = _emoji_package()
    package.config.load_language([ENGLISH, *LANGUAGES])
    qualified = package.STATUS["fully_qualified"]
    return {
        symbol: names
        for symbol, names in sorted(package.EMOJI_DATA.items())
        if names["status"] == qualified
        and not SKIN_TONES.intersection(symbol)
        and all(language in names for language in (ENGLISH, *LANGUAGES))
    }


def _emoji_package() -> ModuleType:
    try:
        return importlib.import_module("emoji")
    except ImportError:
        raise UserError(
            "data: the emoji corpus needs the emoji package; install the extra: "
            "pip install 'optical-sweeps[demo]'"
        ) from None
