"""Filters of bitext: which pairs are kept, and how many pairs each filter drops."""

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator

from optical_sweeps.checks import Count, Fraction
from optical_sweeps.corpora.language_id import LanguageIdentifier
from optical_sweeps.corpora.language_tags import base_language
from optical_sweeps.corpora.languages import ENGLISH
from optical_sweeps.corpora.readers.bitext import Pair
from optical_sweeps.corpora.scripts import is_script, script_share, scripts_of
from optical_sweeps.corpora.words import folded, visible
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings

LANGUAGE_ID = "language_id"
FILTERS = "data.bitexts.filters"
Test = Callable[[str, str], bool]
"""Whether a pair of (English, translation) passes."""


def _scripts(value: object) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a mapping; write {{tt: [Latn]}}")
    scripts = {}
    for language, codes in value.items():
        codes = [codes] if isinstance(codes, str) else codes
        known = isinstance(codes, list | tuple) and [code for code in codes if is_script(str(code))]
        if not known or len(known) != len(codes):
            raise ValueError(f"{language}: {codes!r} is not a list of ISO 15924 codes; write [Cyrl, Latn]")
        scripts[str(language)] = tuple(known)
    return scripts


@settings("data.bitexts.filters", kw_only=True)
class BitextFilters:
    """The filters of bitext; null and false switch one off. Lengths are in characters.

    Args:
        min_length: smallest length of either side.
        max_length: largest length of either side.
        max_ratio: largest ratio of the longer side to the shorter. Chinese and Japanese with English need
            about 5.
        drop_copies: drop pairs whose sides are equal except for case and invisible characters.
        min_script_share: smallest share of a side's letters in its language's scripts, in [0, 1].
        scripts: language -> ISO 15924 codes of the scripts of its text, for languages that Unicode's CLDR does
            not list or that the data write in another script.
        language_id: an identifier of languages; a side that it takes for another language is dropped.
        min_language_probability: smallest probability at which the identifier's answer counts.
        drop_duplicates: keep only the first of equal pairs; white space, invisible characters and the
            composition of accents make no difference.
    """

    min_length: Count = 1
    max_length: Count | None = None
    max_ratio: float | None = None
    drop_copies: bool = False
    min_script_share: Fraction | None = None
    language_id: LanguageIdentifier | None = None
    min_language_probability: Fraction = 0.9
    drop_duplicates: bool = True
    scripts: Annotated[Mapping[str, tuple[str, ...]], BeforeValidator(_scripts)] = field(
        default_factory=dict, hash=False
    )

    def __post_init__(self) -> None:
        if self.max_length is not None and self.max_length < self.min_length:
            raise UserError(
                f"{key_of('max_length')}: {self.max_length} is below min_length, {self.min_length}; raise it"
            )
        if self.max_ratio is not None and self.max_ratio < 1:
            raise UserError(f"{key_of('max_ratio')}: {self.max_ratio!r} is below 1 and drops all; raise it")

    def check(self, language: str) -> None:
        """Refuse a language whose script is unknown if the share of its script is to be tested.

        Raises:
            UserError: it is.
        """
        if self.min_script_share is not None:
            self._scripts_of(language)

    def _scripts_of(self, language: str) -> tuple[str, ...]:
        scripts = self.scripts.get(language) or scripts_of(language)
        if scripts is None:
            raise UserError(
                f"{FILTERS}.min_script_share: the script of {language!r} is unknown; name it as "
                f"{FILTERS}.scripts={{{language}: [Latn]}}, or set min_script_share to null"
            )
        return scripts

    def tests(self, language: str) -> dict[str, Test]:
        """Name -> test for single pairs of one language, in the order in which they are applied.

        Duplicates are found later, among the pairs that pass all tests before `LANGUAGE_ID`.
        """
        tests: dict[str, Test] = {"length": self._has_length}
        if self.max_ratio is not None:
            tests["ratio"] = self._has_ratio
        if self.drop_copies:
            tests["copy"] = _is_no_copy
        if self.min_script_share is not None:
            tests["script"] = _script_test(self._scripts_of(language), self.min_script_share)
        if self.language_id is not None:
            tests[LANGUAGE_ID] = _language_test(language, self.language_id, self.min_language_probability)
        return tests

    def facts(self) -> dict[str, object]:
        """The settings as JSON; an identifier counts by its class and settings."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        if self.language_id is not None:
            kind = type(self.language_id)
            settings = repr(sorted(vars(self.language_id).items())) if kind.__repr__ is object.__repr__ else ""
            values["language_id"] = f"{kind.__module__}.{kind.__qualname__} {settings or self.language_id!r}"
        return values

    def _has_length(self, english: str, translation: str) -> bool:
        shorter, longer = sorted((len(english), len(translation)))
        return shorter >= self.min_length and (self.max_length is None or longer <= self.max_length)

    def _has_ratio(self, english: str, translation: str) -> bool:
        shorter, longer = sorted((len(english), len(translation)))
        return longer <= shorter * (self.max_ratio or math.inf)


@dataclass
class BitextReport:
    """How many pairs of one language were read, dropped and kept; for the log and the record.

    Args:
        read: pairs read, by file or dataset.
        faults: lines and segments that were skipped because they give no pair, by kind.
        dropped: pairs dropped, by filter.
        kept: pairs in the bitext, after the weights of the sources.
    """

    language: str
    read: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    kept: int = 0

    @classmethod
    def from_dict(cls, language: str, values: Mapping[str, Any]) -> "BitextReport":
        """The report that `as_dict` gave."""
        counts = {name: Counter(values[name]) for name in ("read", "faults", "dropped")}
        return cls(language, kept=values["kept"], **counts)

    def as_dict(self) -> dict[str, object]:
        """The report as JSON."""
        counts = {"read": self.read, "faults": self.faults, "dropped": self.dropped}
        return {"kept": self.kept, **{name: dict(sorted(count.items())) for name, count in counts.items()}}

    def line(self) -> str:
        """A line for the log: `fi: 664 of 700 pairs; dropped: 30 duplicate, 6 ratio; skipped: none`."""
        return (
            f"{self.language}: {self.kept:,} of {sum(self.read.values()):,} pairs; "
            f"dropped: {_listed(self.dropped)}; skipped: {self.skipped()}"
        )

    def skipped(self) -> str:
        """What was skipped, by kind: `2 columns, 1 blank`, or `none`."""
        return _listed(self.faults)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common()) or "none"


def _is_no_copy(english: str, translation: str) -> bool:
    return folded(english) != folded(translation)


def pair_hash(pair: Pair) -> bytes:
    """Eight bytes, equal for duplicates; the chance that others agree is 0.3% among 300 million pairs."""
    text = f"{visible(pair[0])}\0{visible(pair[1])}"
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _script_test(scripts: tuple[str, ...], least: float) -> Test:
    english_scripts = ("Latn",)

    def is_in_script(english: str, translation: str) -> bool:
        return script_share(english, english_scripts) >= least and script_share(translation, scripts) >= least

    return is_in_script


def _language_test(language: str, identifier: LanguageIdentifier, least_probability: float) -> Test:
    def may_be(text: str, expected: str) -> bool:
        identified, probability = identifier.identify(text)
        return base_language(identified) == base_language(expected) or probability < least_probability

    def are_in_language(english: str, translation: str) -> bool:
        return may_be(english, ENGLISH) and may_be(translation, language)

    return are_in_language
