"""Sources of bitext: files and datasets of several formats, with weights, read through filters."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from optical_sweeps.checks import FilePath, NonNegativeFloat, NonNegativeInt, Strings, expanded
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.filters import BitextFilters, BitextReport
from optical_sweeps.corpora.languages import ENGLISH, TargetLanguages
from optical_sweeps.corpora.packed import Stamp, stamp_of
from optical_sweeps.corpora.packed_bitext import NoPairs, PairSelection, default_cache, packed_bitext
from optical_sweeps.corpora.pair_blocks import PairFilter, SourceChunk, chunks
from optical_sweeps.corpora.path_patterns import check_pattern, placeholders
from optical_sweeps.corpora.readers.bitext import (
    RawPairs,
    json_lines_pairs,
    moses_pairs,
    parsed_already,
    tsv_pairs,
)
from optical_sweeps.corpora.readers.gettext import gettext_pairs
from optical_sweeps.corpora.readers.hub import hub_pairs
from optical_sweeps.corpora.readers.json_lines import is_json_lines
from optical_sweeps.corpora.readers.opening import COMPRESSED_SUFFIXES, split_member
from optical_sweeps.corpora.readers.opus import archive_path, fetch_archive
from optical_sweeps.corpora.readers.parallel_sentences import (
    ENGLISH_COLUMN,
    TRANSLATION_COLUMN,
    fetch_parts,
    parts_folder,
)
from optical_sweeps.corpora.readers.parquet import parquet_files, parquet_pairs
from optical_sweeps.corpora.readers.tmx import tmx_pairs
from optical_sweeps.corpora.swapped_columns import refuse_swapped_columns
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, nested, settings

Format = Literal["auto", "tsv", "moses", "jsonl", "tmx", "gettext", "parquet"]
OnFault = Literal["refuse", "skip"]
"""What to do with a part of a file that cannot be used: stop, or count it."""
SUFFIXES: dict[str, Format] = {".tmx": "tmx", ".po": "gettext", ".mo": "gettext", ".parquet": "parquet"}


def format_of(path: Path) -> Format:
    """The format that a file's name tells, or else TSV.

    >>> format_of(Path("fi.po")), format_of(Path("fi.tmx.gz")), format_of(Path("train.fi"))
    ('gettext', 'tmx', 'tsv')
    """
    if is_json_lines(path):
        return "jsonl"
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSED_SUFFIXES]
    return SUFFIXES.get(suffixes[-1], "tsv") if suffixes else "tsv"


def _files(value: object) -> object:
    if isinstance(value, list) and len(value) != 2:
        raise ValueError(f"{len(value)} files; give one file, or two parallel files with English first")
    return (value,) if isinstance(value, str) else value


Files = Annotated[Strings, BeforeValidator(_files)]
"""One file, or two parallel files with English first; a config's string becomes a tuple."""


def _published_name(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise ValueError(f"{value!r} is not the name of a corpus, such as CCMatrix or v1; correct it")
    return value


PublishedName = Annotated[str, BeforeValidator(_published_name)]
"""The name of a published corpus, or of its version."""
COMMIT = re.compile(r"[0-9a-f]{40}")


@settings("data.bitexts.sources", kw_only=True)
class BitextSource:
    """Pairs from one file for each language, two parallel files, OPUS, or the Hugging Face hub.

    In `files` and `translation_field`, `{language}` is the language, and `{pair}` is the language and English
    in the order of OPUS's names (`de-en`, `en-fr`).

    Args:
        files: one file, or two parallel ones (Moses), English first. `a.zip/b` is the file b in a.zip.
        dataset: a dataset of the hub, instead of files.
        opus: a corpus of OPUS, such as `CCMatrix`, instead of files; it is downloaded at its first use.
        version: the version of that corpus, such as `v1`.
        parallel_sentences: a dataset of the hub by the end of its name, such as `ccmatrix` for
            `sentence-transformers/parallel-sentences-ccmatrix`, instead of files; it is downloaded at its first
            use.
        format: auto (by the file's name), tsv, moses, jsonl, tmx, gettext or parquet.
        weight: how often each pair counts: 0.5 keeps half of the pairs (a smaller weight keeps a part of those
            of a larger one), 2 repeats each pair.
        languages: the languages of the source; null is every language.
        english_field: field of JSON Lines, Parquet and datasets, with dots if it is nested, such as
            `translation.en`.
        translation_field: the field of the translation.
        subset: the configuration of a dataset.
        split: the split of a dataset.
        revision: the revision of a dataset; a commit makes it reproducible, and parallel_sentences needs one.
    """

    files: Files | None = None
    dataset: str | None = None
    format: Format = "auto"
    weight: NonNegativeFloat = 1.0
    languages: TargetLanguages | None = None
    english_field: str = ENGLISH
    translation_field: Annotated[str, placeholders("language", "pair")] = "{language}"
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    opus: PublishedName | None = None
    version: PublishedName | None = None
    parallel_sentences: PublishedName | None = None

    def __post_init__(self) -> None:
        origins = (self.files, self.dataset, self.opus, self.parallel_sentences)
        if sum(origin is not None for origin in origins) != 1:
            raise UserError(f"{key_of('files')}: give either files, dataset, opus or parallel_sentences")
        if self.parallel_sentences is not None and not COMMIT.fullmatch(self.revision or ""):
            raise UserError(
                f"{key_of('revision')}: {self.revision!r} is not a commit of 40 hexadecimal digits, which "
                "parallel_sentences needs; copy one from the dataset's history"
            )
        if (self.opus is None) != (self.version is None):
            raise UserError(f"{key_of('version')}: opus and version belong together; give both, or neither")
        for pattern in self.files or ():
            check_pattern(key_of("files"), pattern, {"language", "pair"})
        count = len(self.files or ())
        if count == 1 and self.format == "moses":
            raise UserError(f"{key_of('format')}: moses needs two files, English first; give [file, file]")
        if self.files and count != 1 and self.format not in ("auto", "moses"):
            raise UserError(f"{key_of('format')}: {self.format} is for one file; leave it at auto")

    def has(self, language: str) -> bool:
        """Whether the source has a language."""
        return self.languages is None or language in self.languages

    def name(self, language: str) -> str:
        """The name under which its pairs are counted."""
        return self.dataset or " + ".join(map(str, self.paths(language)))

    def paths(self, language: str) -> list[Path]:
        """The files of a language."""
        return [expanded(Path(_filled(pattern, language))) for pattern in self.files or ()]

    def facts(self, language: str) -> dict[str, object]:
        """What the pairs of one language depend on besides the content of the files, as JSON."""
        files = [str(path.absolute()) for path in self.paths(language)]
        names = ("dataset", "subset", "split", "revision") if self.dataset else ()
        settings = {name: getattr(self, name) for name in (*names, "format", "weight")}
        return {**settings, "files": files, "fields": [self.english_field, self.translation_field]}

    def fetch(self, language: str, downloads: Path) -> None:
        """Download the files of a published corpus into a folder, unless they are there."""
        if self.parallel_sentences is not None:
            fetch_parts(self.parallel_sentences, str(self.revision), language, downloads)
        if self.opus is not None and self.version is not None:
            fetch_archive(self.opus, self.version, _filled("{pair}", language), downloads)

    def located(self, language: str, downloads: Path) -> "BitextSource":
        """A published corpus as its files of one language in a folder; other sources as they are."""
        if self.parallel_sentences is not None:
            folder = parts_folder(self.parallel_sentences, str(self.revision), language, downloads)
            return replace(
                self,
                files=(_literal(str(folder)),),
                parallel_sentences=None,
                format="parquet",
                english_field=ENGLISH_COLUMN,
                translation_field=TRANSLATION_COLUMN,
            )
        if self.opus is None or self.version is None:
            return self
        pair = _filled("{pair}", language)
        archive = archive_path(self.opus, self.version, pair, downloads)
        names = (f"{archive}/{self.opus}.{pair}.{side}" for side in (ENGLISH, language))
        return replace(self, files=tuple(map(_literal, names)), opus=None, version=None)

    def pairs(self, language: str) -> RawPairs:
        """The pairs of one language, and the parts of the files that cannot be used."""
        english, translation = self.english_field, _filled(self.translation_field, language)
        if self.dataset:
            subset = _filled(self.subset, language) if self.subset else None
            rows = hub_pairs(self.dataset, subset, self.split, self.revision, english, translation)
            return RawPairs(rows, parsed_already)
        path, *others = self.paths(language)
        if others:
            return moses_pairs(path, others[0], language)
        file_format = format_of(path) if self.format == "auto" else self.format
        if file_format == "jsonl":
            return json_lines_pairs(path, english, translation)
        if file_format == "parquet":
            return RawPairs(parquet_pairs(path, english, translation), parsed_already)
        if file_format == "gettext":
            return RawPairs(gettext_pairs(path), parsed_already)
        if file_format == "tmx":
            return RawPairs(tmx_pairs(path, language), parsed_already)
        return tsv_pairs(path, language)


def _sources(value: object) -> tuple[BitextSource, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is not a list; write [{{files: ...}}]")
    return tuple(
        nested(BitextSource, f"{key_of('sources')}[{number}]", source) for number, source in enumerate(value)
    )


def _filters(value: object) -> BitextFilters:
    return nested(BitextFilters, key_of("filters"), value)


@settings("data.bitexts", kw_only=True)
class BitextSources:
    """The bitext of a study: the pairs of every source in turn, filtered and weighted.

    Args:
        sources: settings of each `BitextSource`; an empty list is a study without bitext.
        filters: which pairs are kept.
        on_fault: what to do with lines that cannot be used (not UTF-8, a missing tab, unequal line counts):
            refuse stops with file and line, skip counts them.
        seed: seed of the choice among the pairs of a source with a fractional weight.
        cache: folder of the packed pairs.

    Raises:
        UserError: a bad setting (at construction), a missing or bad file (when read).
    """

    sources: Annotated[tuple[BitextSource, ...], BeforeValidator(_sources)] = ()
    filters: Annotated[BitextFilters, BeforeValidator(_filters)] = field(default_factory=BitextFilters)
    on_fault: OnFault = "refuse"
    seed: NonNegativeInt = 0
    cache: FilePath = field(default_factory=default_cache)

    def has(self, language: str) -> bool:
        """Whether a source has the language."""
        return any(source.has(language) for source in self.sources)

    def read(self, language: str) -> tuple[Bitext, BitextReport]:
        """The packed pairs of one language, and the numbers of pairs that were dropped or skipped.

        Raises:
            UserError: no source has the language, a file is missing or bad, or no pair remains.
        """
        self.filters.check(language)
        sources = self._sources(language)
        try:
            return read_sources(
                sources, language, self.filters, self.on_fault, "data.bitexts", self.cache, seed=self.seed
            )
        except NoPairs as none:
            raise UserError(f"data.bitexts: no pair remains ({none}); check the sources and filters") from None

    def _sources(self, language: str) -> list[BitextSource]:
        sources = [source for source in self.sources if source.has(language)]
        if not sources:
            raise UserError(f"data.bitexts.sources: none has bitext of {language!r}; add one")
        return sources


def read_sources(
    sources: Sequence[BitextSource],
    language: str,
    filters: BitextFilters,
    on_fault: OnFault,
    key: str,
    cache: Path,
    seed: int = 0,
) -> tuple[Bitext, BitextReport]:
    """The pairs of some sources, packed in `cache` at the first call and again when a file changes.

    Args:
        key: the config key of the sources, for messages.

    Raises:
        UserError: a file is missing or bad.
        NoPairs: no pair remains.
    """

    downloads = cache / "downloads"
    located = [source.located(language, downloads) for source in sources]

    def chunks_of_sources() -> Iterator[SourceChunk]:
        for source in sources:
            source.fetch(language, downloads)
        for source in located:
            for path in source.paths(language):
                if not any(file.is_file() for file in parquet_files(split_member(path)[0])):
                    raise UserError(
                        f"{key}.sources: {language}: there is no file {path.absolute()}; check its files and "
                        "languages"
                    )
        for source in located:
            yield from chunks(source.name(language), source.pairs(language), source.weight)

    def stamp() -> Stamp:
        paths = {split_member(path)[0] for source in located for path in source.paths(language)}
        return stamp_of(file for path in sorted(paths) for file in (parquet_files(path) or [path / "no file"]))

    selection = PairSelection(
        language,
        chunks_of_sources,
        PairFilter(language, filters, seed),
        skip_key=f"{key}.on_fault",
        skips=on_fault == "skip",
    )
    facts = {
        "sources": [source.facts(language) for source in located],
        "filters": filters.facts(),
        "on_fault": on_fault,
        "seed": seed,
    }
    bitext, report = packed_bitext(cache, selection, facts, stamp)
    refuse_swapped_columns(bitext, ", ".join(source.name(language) for source in located))
    return bitext, report


def _literal(path: str) -> str:
    """A path as a pattern."""
    return path.replace("{", "{{").replace("}", "}}")


def _filled(pattern: str, language: str) -> str:
    return pattern.format(language=language, pair="-".join(sorted((language, ENGLISH))))
