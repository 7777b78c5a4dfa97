"""Filters of bitext: which pairs are kept, and how many each filter refused."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optical_sweeps.checks import number_between, true_or_false, whole_number
from optical_sweeps.corpora.language_id import LanguageIdentifier
from optical_sweeps.corpora.readers.bitext import Pair
from optical_sweeps.corpora.scripts import script_share, scripts_of
from optical_sweeps.corpora.settings import ENGLISH
from optical_sweeps.errors import UserError

KEY = "data.bitexts.filters"


@dataclass(frozen=True, kw_only=True)
class BitextFilters:
    """What a pair must be to be kept; null and false switch a filter off. Lengths are in characters.

    Args:
        min_length: of either side.
        max_length: of either side.
        max_ratio: longer side over shorter side. Chinese and Japanese beside English need about 5.
        drop_copies: refuse pairs whose sides are the same but for case.
        min_script_share: share of a side's letters that are in its language's scripts, in [0, 1].
        language_id: what identifies languages; refuses a side that it takes for another language.
        min_language_probability: how sure it must be to refuse.
        drop_duplicates: keep the first of equal pairs.

    Raises:
        UserError: a bad setting; the message names its key.
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    min_length: int = 1
    max_length: int | None = None
    max_ratio: float | None = None
    drop_copies: bool = False
    min_script_share: float | None = None
    language_id: LanguageIdentifier | None = None
    min_language_probability: float = 0.9
    drop_duplicates: bool = True

    def __post_init__(self) -> None:
        whole_number(f"{KEY}.min_length", self.min_length, least=1)
        if self.max_length is not None:
            whole_number(f"{KEY}.max_length", self.max_length, least=self.min_length)
        if self.max_ratio is not None and number_between(f"{KEY}.max_ratio", self.max_ratio, 0.0, math.inf) < 1:
            raise UserError(f"{KEY}.max_ratio: {self.max_ratio!r} is below 1 and would drop all; raise it")
        if self.min_script_share is not None:
            number_between(f"{KEY}.min_script_share", self.min_script_share, 0.0, 1.0)
        if self.language_id is not None and not isinstance(self.language_id, LanguageIdentifier):
            raise UserError(f"{KEY}.language_id: {self.language_id!r} identifies no language; give a _target_")
        number_between(f"{KEY}.min_language_probability", self.min_language_probability, 0.0, 1.0)
        true_or_false(f"{KEY}.drop_copies", self.drop_copies)
        true_or_false(f"{KEY}.drop_duplicates", self.drop_duplicates)

    def for_language(self, language: str) -> "PairFilter":
        """The filters for the pairs of one language, seen in one order."""
        return PairFilter(self._tests(language))

    def _tests(self, language: str) -> dict[str, Callable[[str, str], bool]]:
        """Name -> whether a pair passes, cheapest first."""
        tests: dict[str, Callable[[str, str], bool]] = {"length": self._has_length}
        if self.max_ratio is not None:
            tests["ratio"] = self._has_ratio
        if self.drop_copies:
            tests["copy"] = lambda english, translation: english.casefold() != translation.casefold()
        if self.min_script_share is not None:
            tests["script"] = _in_script(language, self.min_script_share)
        if self.drop_duplicates:  # before language identification, which is slow
            tests["duplicate"] = _first_time()
        if self.language_id is not None:
            tests["language_id"] = _in_language(language, self.language_id, self.min_language_probability)
        return tests

    def _has_length(self, english: str, translation: str) -> bool:
        shorter, longer = sorted((len(english), len(translation)))
        return shorter >= self.min_length and (self.max_length is None or longer <= self.max_length)

    def _has_ratio(self, english: str, translation: str) -> bool:
        shorter, longer = sorted((len(english), len(translation)))
        return longer <= shorter * (self.max_ratio or math.inf)


@dataclass(frozen=True)
class PairFilter:
    """Tests that a pair must pass, in their order; one remembers the pairs it has seen."""

    tests: Mapping[str, Callable[[str, str], bool]]

    def refusal(self, pair: Pair) -> str | None:
        """The first filter that refuses the pair; None for a pair to keep."""
        return next((name for name, keeps in self.tests.items() if not keeps(*pair)), None)


@dataclass
class BitextReport:
    """What became of the pairs of one language, for the log and the record.

    Args:
        read: pairs read, by file or dataset.
        faults: places in files that gave no pair and were skipped, by kind.
        dropped: pairs refused, by filter.
        kept: pairs in the bitext, repeated or left out as the sources' weights say.
    """

    language: str
    read: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    kept: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        counts: Mapping[str, Counter[str]] = {
            "read": self.read,
            "faults": self.faults,
            "dropped": self.dropped,
        }
        return {"kept": self.kept, **{name: dict(sorted(count.items())) for name, count in counts.items()}}

    def line(self) -> str:
        """For the log: `fi: 664 of 700 pairs; dropped 30 duplicate, 6 ratio; skipped 0 faults`."""
        dropped = ", ".join(f"{count:,} {name}" for name, count in self.dropped.most_common()) or "none"
        faults = ", ".join(f"{count:,} {name}" for name, count in self.faults.most_common()) or "none"
        return (
            f"{self.language}: {self.kept:,} of {sum(self.read.values()):,} pairs; "
            f"dropped: {dropped}; unusable and skipped: {faults}"
        )


def _first_time() -> Callable[[str, str], bool]:
    """Whether a pair is seen for the first time, by a 64-bit hash: 10 million pairs take half a gigabyte."""
    seen: set[bytes] = set()

    def is_first(english: str, translation: str) -> bool:
        digest = hashlib.blake2b(f"{english}\0{translation}".encode(), digest_size=8).digest()
        known = len(seen)
        seen.add(digest)
        return len(seen) > known

    return is_first


def _in_script(language: str, least: float) -> Callable[[str, str], bool]:
    english_scripts, scripts = scripts_of(ENGLISH), scripts_of(language)
    return lambda english, translation: (
        script_share(english, english_scripts) >= least and script_share(translation, scripts) >= least
    )


def _in_language(language: str, identifier: LanguageIdentifier, sure: float) -> Callable[[str, str], bool]:
    def is_it(text: str, wanted: str) -> bool:
        found, probability = identifier.identify(text)
        return found == wanted or probability < sure

    return lambda english, translation: is_it(english, ENGLISH) and is_it(translation, language)
