"""The emoji corpus: names of 1,923 emoji in 13 languages, from the `emoji` package (Unicode CLDR names).

A query is the name in one language, a document the English name and its aliases. Nothing is downloaded.
"""

import importlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Annotated

from optical_sweeps.checks import NonNegativeInt
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.collections import Collection, Documents, Queries, RelevantPair, Split
from optical_sweeps.corpora.concepts import ConceptSplits, SplitName, merge_concepts
from optical_sweeps.corpora.languages import ENGLISH, TargetLanguages, known_languages, requested_language
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings

LANGUAGES = ("ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")

ZWJ, VARIATION_SELECTOR = "\u200d", "\ufe0f"
SKIN_TONES = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
MODIFIERS = frozenset("♀♂➡")  # parts of a sequence: a gender, or "facing right"
PERSON, CHILD, HEART, KISS_MARK, HANDSHAKE = "🧑", "🧒", "❤", "💋", "🤝"
FAMILY, COUPLE_WITH_HEART, KISS, HOLDING_HANDS = "👪", "💑", "💏", "👫"
NEUTRAL = {"👨": PERSON, "👩": PERSON, "👦": CHILD, "👧": CHILD}
SAME_CONCEPT = {  # gendered emoji that are single code points
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


Names = Mapping[str, object]
"""Language -> name, and `alias` -> the list of English aliases."""


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


@settings("data", kw_only=True)
class EmojiCorpus(ConceptSplits):
    """Emoji names as a cross-lingual collection with splits by base concept.

    Qrels: the emoji itself has grade 2, other emoji of its concept (other genders, hair, family members) 1.

    Args:
        languages: languages to distil into, among the 13 in which the emoji package names emoji.
        dev_fraction: expected share of concepts in dev.
        test_fraction: expected share of concepts in test; the remainder is for training.
        split_seed: seed of the splits.

    Raises:
        UserError: a bad setting, or the emoji package is not installed.
    """

    languages: Annotated[TargetLanguages, known_languages(LANGUAGES, "the emoji package")] = LANGUAGES
    split_seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _emoji_package()

    @property
    def name(self) -> str:
        return "emoji"

    @read_once
    def fingerprint(self) -> str:
        """A hash of every text, concept and split, in collection order."""
        texts = ["emoji", *self.languages]
        for e in self._entries:
            texts += [e.id, e.concept, e.split, e.name, *e.aliases, *e.translations.values()]
        return fingerprint_of_texts(texts)

    def bitext(self, language: str) -> Bitext:
        """(name in `language`, English name) of every train emoji."""
        requested_language(language, self.languages)
        train = self._entries_of("train", key="data.dev_fraction")
        return Bitext(language, tuple(e.name for e in train), tuple(e.translations[language] for e in train))

    @read_once
    def documents(self) -> Documents:
        """One English document for each emoji of all splits: its name and aliases."""
        return Documents(ENGLISH, tuple(e.id for e in self._entries), tuple(e.document for e in self._entries))

    def collection(self, language: str, split: Split) -> Collection:
        """Names in `language` of the emoji of one split, over all documents."""
        requested_language(language, self.languages)
        entries = self._entries_of(split, key=f"data.{split}_fraction")
        # the same ids in every language, so that a bootstrap over items can pair them
        queries = Queries.from_texts(language, {e.id: e.translations[language] for e in entries})
        qrels = {e.id: self._grades(e) for e in entries}
        return Collection(f"{self.name}.{language}", split, self.documents(), queries, qrels)

    def relevant_pairs(self) -> tuple[RelevantPair, ...]:
        """(alias, English name and other aliases) for each alias of the train emoji."""
        # The document is the index's document without the query. With the alias in it, the teacher would only
        # learn to match words; with the name alone, it would never see documents like those of the index.
        return tuple(
            RelevantPair(alias, ", ".join((e.name, *(a for a in e.aliases if a != alias))), e.concept)
            for e in self._entries_of("train", key="data.dev_fraction")
            for alias in e.aliases
        )

    def _entries_of(self, split: SplitName, key: str) -> tuple[EmojiEntry, ...]:
        entries = tuple(e for e in self._entries if e.split == split)
        if not entries:
            raise UserError(f"{key}: no emoji falls into {split}; change the fraction")
        return entries

    def _grades(self, entry: EmojiEntry) -> dict[str, int]:
        return {other: 2 if other == entry.id else 1 for other in self._ids_of_concept[entry.concept]}

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

    def _entry(self, symbol: str, concept: str, texts: tuple[str, ...], names: Names) -> EmojiEntry:
        return EmojiEntry(
            id=_code_points(symbol),
            concept=concept,
            split=self.split_of(concept, self.split_seed),
            name=texts[0],
            aliases=texts[1:],
            translations={language: clean(str(names[language])) for language in self.languages},
        )

    @cached_property
    def _ids_of_concept(self) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = {}
        for entry in self._entries:
            ids.setdefault(entry.concept, []).append(entry.id)
        return ids


def clean(name: str) -> str:
    """The words of an emoji's name.

    >>> clean(":woman_surfing:")
    'woman surfing'
    """
    return " ".join(name.strip(":").replace("_", " ").split())


def identity_of(text: str) -> str:
    """An English text without case, accents and punctuation: equal texts name the same thing.

    `+`, `#`, `*` and a leading `-` remain, since they alone distinguish +1 from -1 and the keycaps.

    >>> identity_of("woman’s piñata") == identity_of("Womans pinata"), identity_of("-1") == identity_of("+1")
    (True, False)
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    kept = "".join(c for c in decomposed if not unicodedata.combining(c) and c not in "’'")
    return " ".join(re.findall(r"[\w+#*]+|(?<!\w)-\w+", kept))


def base_sequence(symbol: str) -> str:
    """The base concept of an emoji sequence: without skin tone, gender, direction and the members of a family.

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


def _english_texts(names: Names) -> tuple[str, ...]:
    """The English name and then the aliases that differ from it, each once."""
    aliases = names.get("alias", ())
    assert isinstance(aliases, list | tuple)
    distinct: dict[str, str] = {}
    for name in (names[ENGLISH], *aliases):
        text = clean(str(name))
        distinct.setdefault(identity_of(text), text)
    return tuple(distinct.values())


def _code_points(symbol: str) -> str:
    return "-".join(f"{ord(c):x}" for c in symbol)


def _named_emoji() -> dict[str, Names]:
    """Fully qualified emoji without skin tone that have a name in all 13 languages -> their names."""
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
