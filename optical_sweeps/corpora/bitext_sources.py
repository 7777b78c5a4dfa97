"""Where bitext comes from: files and datasets of several formats, with weights, read through filters."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from optical_sweeps.checks import number_between, one_of, strings, whole_number
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.filters import BitextFilters, BitextReport
from optical_sweeps.corpora.readers.bitext import Pair, json_lines_pairs, moses_pairs, tsv_pairs
from optical_sweeps.corpora.readers.gettext import gettext_pairs
from optical_sweeps.corpora.readers.hub import hub_pairs
from optical_sweeps.corpora.readers.json_lines import is_json_lines
from optical_sweeps.corpora.readers.lines import Fault
from optical_sweeps.corpora.readers.opening import PACKINGS, split_member
from optical_sweeps.corpora.readers.tmx import tmx_pairs
from optical_sweeps.corpora.settings import ENGLISH, check_pattern, languages_of
from optical_sweeps.errors import UserError

T = TypeVar("T")
KEY = "data.bitexts"
FORMATS = ("auto", "tsv", "moses", "jsonl", "tmx", "gettext")
ENDINGS = {".tmx": "tmx", ".po": "gettext", ".mo": "gettext"}
ON_FAULT = ("refuse", "skip")


def format_of(path: str) -> str:
    """The format that a file's name tells; TSV where it tells none.

    >>> format_of("fi.po"), format_of("fi.tmx.gz"), format_of("train.fi")
    ('gettext', 'tmx', 'tsv')
    """
    if is_json_lines(Path(path)):
        return "jsonl"
    endings = [ending for ending in Path(path).suffixes if ending not in PACKINGS]
    return ENDINGS.get(endings[-1], "tsv") if endings else "tsv"


@dataclass(frozen=True, kw_only=True)
class BitextSource:
    """Pairs from one file a language, two parallel files, or a dataset of the Hugging Face hub.

    In `files` and `translation_field` `{language}` stands for a language and `{pair}` for it and English in
    the order of OPUS's names (`de-en`, `en-fr`).

    Args:
        files: one file, or two parallel ones (Moses), English first. `a.zip/b` is the file b in a.zip.
        dataset: a dataset of the hub, in place of files.
        format: auto (by the file's ending), tsv, moses, jsonl, tmx or gettext.
        weight: how often each pair counts: 0.5 keeps half of them (a smaller weight keeps a part of those of a
            larger one), 2 has each twice.
        languages: the languages it has; null is all that are asked for.
        english_field: of JSON Lines and datasets, dotted where it is nested, such as `translation.en`.
        translation_field: the same for the other side.
        subset: of a dataset.
        split: of a dataset.
        revision: of a dataset; a commit makes it reproducible.
    """

    __no_type_check__ = True  # values come from YAML: `checked_source` checks them and names the key

    files: str | tuple[str, ...] | None = None
    dataset: str | None = None
    format: str = "auto"
    weight: float = 1.0
    languages: tuple[str, ...] | None = None
    english_field: str = ENGLISH
    translation_field: str = "{language}"
    subset: str | None = None
    split: str = "train"
    revision: str | None = None

    def has(self, language: str) -> bool:
        """Whether it has a language."""
        return self.languages is None or language in self.languages

    def name(self, language: str) -> str:
        """What its pairs are counted under."""
        return str(self.dataset) if self.dataset else " + ".join(map(str, self.paths(language)))

    def paths(self, language: str) -> list[Path]:
        """Its files for a language."""
        patterns = (self.files,) if isinstance(self.files, str) else self.files or ()
        return [Path(_filled(pattern, language)).expanduser() for pattern in patterns]

    def pairs(self, language: str) -> Iterator[Pair | Fault]:
        """Its pairs of one language, and what cannot be used."""
        english, translation = self.english_field, _filled(self.translation_field, language)
        if self.dataset:
            subset = _filled(self.subset, language) if self.subset else None
            return hub_pairs(self.dataset, subset, self.split, self.revision, english, translation)
        paths = self.paths(language)
        if len(paths) == 2:
            return moses_pairs(paths[0], paths[1], language)
        readers: dict[str, Callable[[], Iterator[Pair | Fault]]] = {
            "tsv": lambda: tsv_pairs(paths[0], language),
            "jsonl": lambda: json_lines_pairs(paths[0], english, translation),
            "tmx": lambda: tmx_pairs(paths[0], language),
            "gettext": lambda: gettext_pairs(paths[0]),
        }
        return readers[format_of(str(paths[0])) if self.format == "auto" else self.format]()


@dataclass(frozen=True, kw_only=True)
class BitextSources:
    """The bitext of a study: every source in turn, through the filters, by weight.

    Args:
        sources: settings of each `BitextSource`; an empty list is a study without bitext.
        filters: which pairs are kept.
        on_fault: what becomes of lines that cannot be used (not UTF-8, a missing tab, unequal line counts):
            refuse stops with file and line, skip counts them.
        seed: of the choice among pairs of a source with a fraction for a weight.

    Raises:
        UserError: a bad setting (at once), a missing or bad file (when read).
    """

    __no_type_check__ = True  # values come from YAML: __post_init__ checks them and names the key

    sources: Sequence[BitextSource] = ()
    filters: BitextFilters = field(default_factory=BitextFilters)
    on_fault: str = "refuse"
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.sources, str | Mapping) or not isinstance(self.sources, Sequence):
            raise UserError(f"{KEY}.sources: {self.sources!r} is no list; write [{{files: ...}}]")
        sources = tuple(checked_source(f"{KEY}.sources[{i}]", source) for i, source in enumerate(self.sources))
        object.__setattr__(self, "sources", sources)
        if isinstance(self.filters, Mapping):
            object.__setattr__(self, "filters", _built(f"{KEY}.filters", BitextFilters, self.filters))
        one_of(f"{KEY}.on_fault", self.on_fault, ON_FAULT)
        whole_number(f"{KEY}.seed", self.seed, least=0)

    def has(self, language: str) -> bool:
        """Whether some source has the language."""
        return any(source.has(language) for source in self.sources)

    def check(self, language: str) -> None:
        """Refuse now a language without a source, and files that are not there."""
        for source in self._sources(language):
            for path in source.paths(language):
                if not split_member(path)[0].is_file():
                    raise UserError(f"{KEY}.sources: there is no file {path}; check its files and languages")

    def read(self, language: str) -> tuple[Bitext, BitextReport]:
        """The pairs of one language, and what became of those that are not among them.

        Raises:
            UserError: no source has the language, a file is missing or bad, or no pair is left.
        """
        self.check(language)
        report = BitextReport(language)
        english: list[str] = []
        translations: list[str] = []
        pair_filter = self.filters.for_language(language)  # one for all sources: duplicates are across them
        for source in self._sources(language):
            for pair in self._read_pairs(source, language, report):
                refusal = pair_filter.refusal(pair)
                if refusal is not None:
                    report.dropped[refusal] += 1
                    continue
                copies = _copies(pair, source.weight, self.seed)
                english += [pair[0]] * copies
                translations += [pair[1]] * copies
        report.kept = len(english)
        if not english:
            raise UserError(f"{KEY}: no pair is left ({report.line()}); check the sources and the filters")
        return Bitext(language, tuple(english), tuple(translations)), report

    def _sources(self, language: str) -> list[BitextSource]:
        sources = [source for source in self.sources if source.has(language)]
        if not sources:
            raise UserError(f"{KEY}.sources: none has bitext of {language!r}; add one")
        return sources

    def _read_pairs(self, source: BitextSource, language: str, report: BitextReport) -> Iterator[Pair]:
        name = source.name(language)
        for pair in source.pairs(language):
            if not isinstance(pair, Fault):
                report.read[name] += 1
                yield pair
            elif self.on_fault == "refuse":
                raise UserError(f"{pair.message}; or set {KEY}.on_fault to skip")
            else:
                report.faults[pair.kind] += 1


def checked_source(key: str, value: object) -> BitextSource:
    """`value`, a mapping of settings, as a source.

    Raises:
        UserError: an unknown or bad setting; the message names its key below `key`.
    """
    source = value if isinstance(value, BitextSource) else _built(key, BitextSource, value)
    files = source.files
    if (files is None) == (source.dataset is None):
        raise UserError(f"{key}: give either files or dataset")
    if files is not None and not isinstance(files, str):
        files = strings(f"{key}.files", files)
        if len(files) != 2:
            raise UserError(f"{key}.files: {len(files)} files; give one, or two parallel ones, English first")
        object.__setattr__(source, "files", files)
    for pattern in (files,) if isinstance(files, str) else files or ():
        check_pattern(f"{key}.files", pattern, {"language", "pair"})
    one_of(f"{key}.format", source.format, FORMATS)
    if isinstance(files, str) and source.format == "moses":
        raise UserError(f"{key}.format: moses has two files, English first; give [file, file]")
    if not isinstance(files, str) and source.format not in ("auto", "moses"):
        raise UserError(f"{key}.format: {source.format} is for one file; leave it at auto")
    check_pattern(f"{key}.translation_field", source.translation_field, {"language", "pair"})
    weight = number_between(f"{key}.weight", source.weight, 0.0, math.inf)
    object.__setattr__(source, "weight", weight)
    if source.languages is not None:
        object.__setattr__(source, "languages", languages_of(f"{key}.languages", source.languages))
    return source


def _built(key: str, kind: type[T], value: object) -> T:
    if not isinstance(value, Mapping):
        raise UserError(f"{key}: {value!r} is no mapping of settings; write {{name: value}}")
    known = [setting.name for setting in fields(kind)]  # type: ignore[arg-type]
    for name in value:
        if name not in known:
            raise UserError(f"{key}.{name}: no such setting; there are {', '.join(known)}")
    return kind(**value)


def _filled(pattern: str, language: str) -> str:
    return pattern.format(language=language, pair="-".join(sorted((language, ENGLISH))))


def _copies(pair: Pair, weight: float, seed: int) -> int:
    """How often a pair counts: a fraction is drawn by the pair's own hash, so that others cannot change it."""
    whole = math.floor(weight)
    if whole == weight:
        return whole
    digest = hashlib.blake2b("\0".join(pair).encode(), digest_size=8, key=f"weight {seed}".encode()).digest()
    return whole + (int.from_bytes(digest, "big") / 2**64 < weight - whole)
