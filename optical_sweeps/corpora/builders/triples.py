"""Triples from files and from ir_datasets, drawn in one seeded order and packed into files that are mapped.

A packed draw is a folder:
    queries documents   packed strings (see `packed`); of ir_datasets the documents are the whole collection's
    rows.npy            query, positive, negatives: positions in these
    triples.json        what it was drawn from, and the content's fingerprint; written last
MS MARCO has 39.8 million triples: they are read line by line, and what is drawn is never all in memory as text.
"""

import hashlib
import itertools
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from jaxtyping import Int, Int32

from optical_sweeps.checks import true_or_false, whole_number
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.builders.ir_datasets_collections import pack_dataset
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.packed import packed_documents
from optical_sweeps.corpora.readers.documents import iterate_documents
from optical_sweeps.corpora.readers.ir_dataset import IrDataset
from optical_sweeps.corpora.readers.trec import read_topics
from optical_sweeps.corpora.readers.triples import Fields, read_triples
from optical_sweeps.corpora.settings import ENGLISH
from optical_sweeps.corpora.triples import STRETCH, Triples, drawn
from optical_sweeps.errors import UserError

FORMAT = 1
KEY = "teacher.triples"


@dataclass(frozen=True, kw_only=True)
class TripleFiles:
    """Triples of a file, as texts or as ids; packed with `open_bytes`'s packings or not.

    Args:
        path: TSV of `query, positive, negative`, or JSON Lines of `[query, positive, negative, ...]`.
        queries: TSV of id and text; with `collection`, the fields of `path` are ids. None: they are texts.
        collection: TSV or JSON Lines of documents.
        limit: draw so many; fewer are the first of more; None is all.
        negatives: of each line, its first so many.
        seed: of the draw.
        cache: folder of what is packed.

    Raises:
        UserError: a bad setting (at once); files that cannot be read, or an unknown id (at first use).
    """

    path: Path
    queries: Path | None = None
    collection: Path | None = None
    limit: int | None = None
    negatives: int = 1
    seed: int = 0
    cache: Path = Path("artifacts/triples")
    _known: dict[str, Triples] = field(default_factory=dict, init=False, repr=False, compare=False)
    __no_type_check__ = True

    def __post_init__(self) -> None:
        if (self.queries is None) != (self.collection is None):
            raise UserError(
                f"{KEY}.queries, {KEY}.collection: give both (the triples are ids) or neither (texts)"
            )
        _check_draw(self.limit, self.negatives, self.seed)
        for name in ("path", "queries", "collection", "cache"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, Path(value).expanduser())
        for name in ("path", "queries", "collection"):
            if (value := getattr(self, name)) is not None and not value.is_file():
                raise UserError(f"{KEY}.{name}: there is no file {value}; correct the path")

    def triples(self) -> Triples:
        """The drawn triples."""
        if "all" not in self._known:
            self._known["all"] = _packed(
                self.cache, self._facts(), self._stamp, self._sources if self.queries else self._own_texts
            )
        return self._known["all"]

    def fingerprint(self) -> str:
        """A hash of the drawn triples."""
        return self.triples().fingerprint()

    def _facts(self) -> dict[str, Any]:
        names = ("path", "queries", "collection")
        paths = {name: str(getattr(self, name).resolve()) for name in names if getattr(self, name) is not None}
        return paths | {"limit": self.limit, "negatives": self.negatives, "seed": self.seed}

    def _stamp(self) -> list[int]:
        files = [path for path in (self.path, self.queries, self.collection) if path is not None]
        return [number for path in files for number in _stamp_of(path)]

    def _sources(self, folder: Path) -> "_Sources":
        queries, collection = self.queries, self.collection
        assert queries is not None
        assert collection is not None

        def documents() -> Iterator[tuple[str, str]]:
            for _, name, title, text in iterate_documents(collection):
                yield name, DocumentText("title_and_text", " ").of(title, text)

        return _Sources(
            queries=self._shared("queries", lambda: read_topics(queries).items()),
            documents=self._shared("collection", documents),
            lines=lambda: read_triples(self.path),
            draw=_draw(lambda: read_triples(self.path), self.limit, self.seed, self.path),
            negatives=self.negatives,
            where=str(self.path),
        )

    def _shared(self, name: str, records: Callable[[], Iterable[tuple[str, str]]]) -> Documents:
        """The packed texts of a file, for all draws."""
        path = getattr(self, name)
        place = hashlib.blake2b(str(path.resolve()).encode(), digest_size=8).hexdigest()
        return _strings(self.cache / f"{name}-{place}", records, lambda: _stamp_of(path))

    def _own_texts(self, folder: Path) -> "_Sources":
        """A text's id is its hash; of the file's texts, those of the draw are packed, each once."""
        draw = _draw(lambda: read_triples(self.path), self.limit, self.seed, self.path)

        def texts(first: int, last: int | None) -> Callable[[], Iterator[tuple[str, str]]]:
            def records() -> Iterator[tuple[str, str]]:
                seen: set[bytes] = set()
                for fields in _lines_at(read_triples(self.path), np.sort(draw)):
                    for text in fields[first:last]:
                        if (digest := _digest(text)) not in seen:
                            seen.add(digest)
                            yield digest.hex(), text

            return records

        return _Sources(
            queries=_strings(folder / "queries", texts(0, 1)),
            documents=_strings(folder / "documents", texts(1, 2 + self.negatives)),
            lines=lambda: (tuple(_digest(text).hex() for text in f) for f in read_triples(self.path)),
            draw=draw,
            negatives=self.negatives,
            where=str(self.path),
        )


@dataclass(frozen=True, kw_only=True)
class IrDatasetTriples:
    """The docpairs of a dataset of ir_datasets, such as `msmarco-passage/train/triples-small`.

    Args:
        dataset: its id; `mmarco/v2/de/train` has the queries and passages in German.
        limit: draw so many; fewer are the first of more; None is all.
        seed: of the draw.
        document_columns, separator: what of a document is taken.
        complete: refuse fewer documents than the provider counts.
        cache: folder of what is packed; `documents` those of the collection, which data= may share.

    Raises:
        UserError: a bad setting or an unknown id (at once); data that cannot be had or read (at first use).
    """

    dataset: str
    limit: int | None = None
    seed: int = 0
    document_columns: str = "title_and_text"
    separator: str = " "
    complete: bool = True
    cache: Path = Path("artifacts/triples")
    documents: Path = Path("artifacts/collections")
    _known: dict[str, Triples] = field(default_factory=dict, init=False, repr=False, compare=False)
    __no_type_check__ = True

    def __post_init__(self) -> None:
        _check_draw(self.limit, 1, self.seed)
        true_or_false(f"{KEY}.complete", self.complete)
        DocumentText(self.document_columns, self.separator, KEY)
        try:
            IrDataset(self.dataset)
        except UserError as error:
            raise UserError(f"{KEY}.dataset: {error}") from None
        for name in ("cache", "documents"):
            object.__setattr__(self, name, Path(getattr(self, name)).expanduser())

    def triples(self) -> Triples:
        """The drawn triples."""
        if "all" not in self._known:
            self._known["all"] = _packed(self.cache, self._facts(), self._stamp, self._sources)
        return self._known["all"]

    def fingerprint(self) -> str:
        """A hash of the drawn triples."""
        return self.triples().fingerprint()

    def _facts(self) -> dict[str, Any]:
        names = ("dataset", "limit", "seed", "document_columns", "separator")
        return {name: getattr(self, name) for name in names}

    def _stamp(self) -> list[int] | None:
        """Of the triples and of the documents, whose places the rows are; None where one is not there."""
        dataset = IrDataset(self.dataset)
        stamps = (dataset.docpairs_stamp(), IrDataset(dataset.documents_id()).documents_stamp())
        return None if None in stamps else [number for stamp in stamps for number in stamp or ()]

    def _sources(self, folder: Path) -> "_Sources":
        dataset = IrDataset(self.dataset)
        text = DocumentText(self.document_columns, self.separator)
        source = IrDataset(dataset.documents_id())
        language = source.documents_language() or ENGLISH
        return _Sources(
            queries=_strings(folder / "queries", lambda: dataset.queries().items()),
            documents=pack_dataset(source, language, text, self.documents, self.complete),
            lines=dataset.docpairs,
            draw=_draw(dataset.docpairs, self.limit, self.seed, dataset.id),
            negatives=1,
            where=dataset.id,
        )


@dataclass(frozen=True)
class _Sources:
    """Packed texts by id, lines of ids, and the places of the lines that are drawn, in order."""

    queries: Documents
    documents: Documents
    lines: Callable[[], Iterable[Fields]]
    draw: Int[np.ndarray, " N"]
    negatives: int
    where: str

    def rows(self) -> Int32[np.ndarray, "N w"]:
        """The drawn lines' positions, in the order of the draw."""
        places = np.sort(self.draw)
        rows = np.empty((len(places), 2 + self.negatives), np.int32)
        lines = _lines_at(self.lines(), places)
        for start in range(0, len(rows), STRETCH):
            stretch = list(itertools.islice(lines, STRETCH))
            rows[start : start + STRETCH] = self._positions(stretch)
        return rows[np.searchsorted(places, self.draw)]

    def _positions(self, lines: Sequence[Fields]) -> list[list[int]]:
        width = 2 + self.negatives
        if short := next((line for line in lines if len(line) < width), None):
            raise UserError(
                f"{self.where}: the triple of query {short[0]!r} has {len(short) - 2} negatives; lower "
                f"{KEY}.negatives"
            )
        queries = self.queries.positions(line[0] for line in lines)
        documents = self.documents.positions(name for line in lines for name in line[1:width])
        try:
            return [[queries[line[0]], *(documents[name] for name in line[1:width])] for line in lines]
        except KeyError as error:
            raise UserError(
                f"{self.where}: the triples name {error.args[0]!r}, which is neither among the queries nor "
                "the documents that go with them; complete these, or take the triple out"
            ) from None


def _packed(
    cache: Path,
    facts: Mapping[str, Any],
    stamp: Callable[[], Sequence[int] | None],
    sources: Callable[[Path], _Sources],
) -> Triples:
    """The packed draw of these facts, packed first unless that was done; a change of the stamp packs again."""
    facts = {"format": FORMAT, **facts}
    name = hashlib.blake2b(repr(sorted(facts.items())).encode(), digest_size=8).hexdigest()
    folder = cache / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{name}.lock"):
            found = _sound(folder, facts, stamp())
            if found is None:
                for part in ("queries", "documents"):
                    shutil.rmtree(folder / part, ignore_errors=True)
                found = _pack(folder, facts, stamp, sources(folder))
    except OSError as error:
        raise UserError(
            f"{folder}: triples cannot be packed there ({error.strerror or error}); make room, or set "
            f"{KEY}.cache elsewhere"
        ) from None
    return _opened(folder, found)


def _sound(folder: Path, facts: Mapping[str, Any], stamp: Sequence[int] | None) -> dict[str, Any] | None:
    try:
        note = json.loads((folder / "triples.json").read_text(encoding="utf-8"))
        fits = note["facts"] == json.loads(json.dumps(facts)) and stamp in (None, note["stamp"])
        places = (folder / "rows.npy", Path(note["queries"]), Path(note["documents"]))
        return note if fits and all(place.exists() for place in places) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pack(
    folder: Path, facts: Mapping[str, Any], stamp: Callable[[], Sequence[int] | None], sources: _Sources
) -> dict[str, Any]:
    rows = sources.rows()
    temporary = folder / f".rows.{uuid.uuid4().hex[:8]}.npy"
    try:
        np.save(temporary, rows)
        temporary.replace(folder / "rows.npy")
    finally:
        temporary.unlink(missing_ok=True)
    digest = hashlib.blake2b(np.ascontiguousarray(rows).data, digest_size=16).hexdigest()
    texts = (sources.queries.fingerprint(), sources.documents.fingerprint())
    note = {
        "facts": facts,
        "stamp": stamp(),  # now: what was not there before has been downloaded
        "triples": len(rows),
        "queries": str(_place(sources.queries)),
        "documents": str(_place(sources.documents)),
        "fingerprint": fingerprint_of_texts((*texts, digest)),
    }
    part = folder / f".triples.{uuid.uuid4().hex[:8]}.json"
    part.write_text(json.dumps(note, indent=1), encoding="utf-8")
    part.replace(folder / "triples.json")
    return note


def _opened(folder: Path, note: Mapping[str, Any]) -> Triples:
    from optical_sweeps.corpora.packed import PackedStrings

    return Triples(
        PackedStrings(Path(note["queries"]) / "texts"),
        PackedStrings(Path(note["documents"]) / "texts"),
        np.load(folder / "rows.npy", mmap_mode="r"),
        known_fingerprint=note["fingerprint"],
    )


def _place(documents: Documents) -> Path:
    """The folder of packed documents."""
    return Path(documents.texts.stem).parent.resolve()  # type: ignore[attr-defined]


def _strings(
    folder: Path,
    records: Callable[[], Iterable[tuple[str, str]]],
    stamp: Callable[[], Sequence[int] | None] = lambda: None,
) -> Documents:
    return packed_documents(folder, "", records, {"of": "triples"}, stamp)


def _stamp_of(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _draw(
    lines: Callable[[], Iterable[Fields]], limit: int | None, seed: int, where: object
) -> Int[np.ndarray, " N"]:
    size = sum(1 for _ in lines())
    if not size:
        raise UserError(f"{where}: no triple in it; name another {KEY}")
    return drawn(size, limit, seed)


def _lines_at(lines: Iterable[Fields], places: Int[np.ndarray, " N"]) -> Iterator[Fields]:
    """The lines at these places, which rise."""
    wanted = iter(places.tolist())
    place = next(wanted, None)
    for number, fields in enumerate(lines):
        if place is None:
            return
        if number == place:
            yield fields
            place = next(wanted, None)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()


def _check_draw(limit: object, negatives: object, seed: object) -> None:
    if limit is not None:
        whole_number(f"{KEY}.limit", limit, least=1)
    whole_number(f"{KEY}.negatives", negatives, least=1)
    whole_number(f"{KEY}.seed", seed, least=0)
