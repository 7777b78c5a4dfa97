"""Triples from files and from ir_datasets, drawn in a seeded order and packed into memory-mapped files.

MS MARCO has 39.8 million triples: lines are read one at a time, and the texts of a draw are never all in
memory. A draw is a folder of the cache:
    rows/rows.npy       query, positive, negatives: positions in the packed queries and documents
    queries, documents  the packed texts of a file of texts; other sources pack all their texts beside the draws
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32

from optical_sweeps.array_files import load_array
from optical_sweeps.checks import Count, FilePath, NonNegativeInt, check_file
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.builders.ir_datasets_documents import IrDatasetsDocuments
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.corpora.document_text import DocumentText
from optical_sweeps.corpora.languages import ENGLISH
from optical_sweeps.corpora.packed import Stamp, packed_documents, packed_folder
from optical_sweeps.corpora.read_once import read_once
from optical_sweeps.corpora.readers.documents import iterate_documents
from optical_sweeps.corpora.readers.ir_dataset import DatasetId, IrDataset
from optical_sweeps.corpora.readers.trec import read_topics
from optical_sweeps.corpora.readers.triples import Fields, read_triples
from optical_sweeps.corpora.triples import BLOCK, Triples, drawn
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings

Records = Iterable[tuple[str, str]]


@settings("teacher.triples", kw_only=True)
class TripleFiles:
    """Triples of a plain or compressed file, as texts or as ids.

    Args:
        path: TSV of `query, positive, negative`, or JSON Lines of `[query, positive, negative, ...]`.
        queries: TSV of id and text; the fields of `path` are then ids. None: they are texts.
        collection: TSV or JSON Lines of documents; set it together with `queries`.
        limit: number of triples to draw, None for all; a smaller draw is a prefix of a larger one.
        negatives: number of negatives to take from each line, from the first on.
        seed: seed of the draw.
        cache: folder of the packed files.

    Raises:
        UserError: a bad setting (at construction); unreadable files or an unknown id (at first use).
    """

    path: FilePath
    queries: FilePath | None = None
    collection: FilePath | None = None
    limit: Count | None = None
    negatives: Count = 1
    seed: NonNegativeInt = 0
    cache: FilePath = Path("artifacts/triples")

    def __post_init__(self) -> None:
        if (self.queries is None) != (self.collection is None):
            raise UserError(
                f"{key_of('queries')}, {key_of('collection')}: set both (the triples are ids) or neither (they "
                "are texts)"
            )
        for name, file in (("path", self.path), ("queries", self.queries), ("collection", self.collection)):
            if file is not None:
                check_file(key_of(name), file, "correct the path")

    @read_once
    def triples(self) -> Triples:
        """The drawn triples."""
        facts = {"path": str(self.path.resolve()), "limit": self.limit, "seed": self.seed}
        draw = _Draw(
            self.cache, {**facts, "negatives": self.negatives}, self.negatives, self._lines, self._stamp
        )
        if self.queries is None or self.collection is None:
            return draw.of_texts()
        queries, collection = self.queries, self.collection
        return draw.of_ids(
            self._packed(queries, lambda: read_topics(queries).items()),
            self._packed(collection, lambda: _records(collection)),
        )

    def fingerprint(self) -> str:
        """A hash of the drawn triples."""
        return self.triples().fingerprint()

    def _lines(self) -> Iterator[Fields]:
        return read_triples(self.path)

    def _stamp(self) -> Stamp:
        return _stamp_of(self.path)

    def _packed(self, file: Path, records: Callable[[], Records]) -> Documents:
        """The packed texts of a file, which all draws share."""
        name = hashlib.blake2b(str(file.resolve()).encode(), digest_size=8).hexdigest()
        return packed_documents(self.cache / f"texts-{name}", "", records, {}, lambda: _stamp_of(file))


@settings("teacher.triples", kw_only=True)
class IrDatasetTriples(IrDatasetsDocuments):
    """The docpairs of a dataset of ir_datasets, such as `msmarco-passage/train/triples-small`.

    Args:
        dataset: its id; `mmarco/v2/de/train` has the queries and passages in German.
        limit: number of triples to draw, None for all; a smaller draw is a prefix of a larger one.
        seed: seed of the draw.
        cache: folder of the packed draws.
        documents: folder of the packed documents, which `data` may share.

    The other settings are those of `IrDatasetsDocuments`.

    Raises:
        UserError: a bad setting or an unknown id (at construction); missing or unreadable data (at first use).
    """

    dataset: DatasetId
    limit: Count | None = None
    seed: NonNegativeInt = 0
    cache: FilePath = Path("artifacts/triples")
    documents: FilePath = Path("artifacts/collections")

    @read_once
    def triples(self) -> Triples:
        """The drawn triples."""
        dataset = IrDataset(self.dataset)
        source = dataset.documents_dataset()
        documents = self.packed(source, source.documents_language() or ENGLISH, self.documents)
        folder, stamp = self.cache / f"queries-{dataset.id.replace('/', '-')}", dataset.docpairs_stamp
        queries = packed_documents(
            folder,
            "",
            lambda: dataset.queries(on_duplicate=self.on_duplicate).items(),
            {"on_duplicate": self.on_duplicate},
            stamp,
        )
        facts = {"dataset": self.dataset, "limit": self.limit, "seed": self.seed}
        return _Draw(self.cache, facts, 1, dataset.docpairs, stamp).of_ids(queries, documents)

    def fingerprint(self) -> str:
        """A hash of the drawn triples."""
        return self.triples().fingerprint()


@dataclass(frozen=True)
class _Draw:
    """A seeded draw of lines, and the folder that it is packed into.

    Args:
        cache: the folder's parent.
        facts: what the draw depends on: the source, `limit` and `seed`.
        negatives: number of negatives of each row.
        lines: reads the fields of every line of the source.
        stamp: the stamp of the source.
    """

    cache: Path
    facts: Mapping[str, object]
    negatives: int
    lines: Callable[[], Iterable[Fields]]
    stamp: Callable[[], Stamp]

    def of_texts(self) -> Triples:
        """The triples of lines of texts; a text's id is its hash, and only drawn texts are packed."""
        queries = self._packed("queries", slice(0, 1))
        documents = self._packed("documents", slice(1, 2 + self.negatives))
        return self._triples(queries, documents, _text_ids)

    def of_ids(self, queries: Documents, documents: Documents) -> Triples:
        """The triples of lines of ids."""
        return self._triples(queries, documents, lambda fields: fields)

    @property
    def _folder(self) -> Path:
        return (
            self.cache / hashlib.blake2b(repr(sorted(self.facts.items())).encode(), digest_size=8).hexdigest()
        )

    @property
    def _source(self) -> str:
        return str(self.facts.get("path") or self.facts["dataset"])

    @cached_property
    def _line_numbers(self) -> Int[np.ndarray, " N"]:
        """The drawn lines, in the order of the draw."""
        size = sum(1 for _ in self.lines())
        if not size:
            raise UserError(f"{self._source}: it has no triple; name another source in teacher.triples")
        limit, seed = self.facts["limit"], self.facts["seed"]
        assert isinstance(limit, int | None)
        assert isinstance(seed, int)
        return drawn(size, limit, seed)

    def _drawn_lines(self) -> Iterator[Fields]:
        """The drawn lines, in the order of the source."""
        wanted = iter(np.sort(self._line_numbers).tolist())
        next_number = next(wanted, None)
        for number, fields in enumerate(self.lines()):
            if number == next_number:
                yield fields
                next_number = next(wanted, None)
                if next_number is None:
                    return

    def _packed(self, name: str, part: slice) -> Documents:
        records, folder = lambda: self._distinct_texts(part), self._folder / name
        return packed_documents(folder, "", records, self.facts, self.stamp)

    def _distinct_texts(self, part: slice) -> Iterator[tuple[str, str]]:
        """(id, text) of each distinct text in these columns."""
        seen: set[bytes] = set()
        for fields in self._drawn_lines():
            for text in fields[part]:
                if (digest := _digest(text)) not in seen:
                    seen.add(digest)
                    yield digest.hex(), text

    def _triples(self, queries: Documents, documents: Documents, ids: Callable[[Fields], Fields]) -> Triples:
        def build(folder: Path) -> str:
            rows = self._rows(queries, documents, ids)
            np.save(folder / "rows.npy", rows)
            digest = hashlib.blake2b(np.ascontiguousarray(rows).data, digest_size=16).hexdigest()
            return fingerprint_of_texts((queries.fingerprint(), documents.fingerprint(), digest))

        texts = {"queries": queries.fingerprint(), "documents": documents.fingerprint()}
        fingerprint = packed_folder(self._folder / "rows", {**self.facts, **texts}, self.stamp, build)
        rows = load_array(self._folder / "rows" / "rows.npy", mapped=True)
        return Triples(queries.texts, documents.texts, rows, known_fingerprint=fingerprint)

    def _rows(
        self, queries: Documents, documents: Documents, ids: Callable[[Fields], Fields]
    ) -> Int32[np.ndarray, "N w"]:
        """The positions of the drawn lines' texts, in the order of the draw."""
        rows = np.empty((len(self._line_numbers), 2 + self.negatives), np.int32)
        lines = self._drawn_lines()
        for start in range(0, len(rows), BLOCK):
            block = [ids(fields) for fields in itertools.islice(lines, BLOCK)]
            rows[start : start + BLOCK] = self._positions(block, queries, documents)
        return rows[np.searchsorted(np.sort(self._line_numbers), self._line_numbers)]

    def _positions(self, lines: Sequence[Fields], queries: Documents, documents: Documents) -> list[list[int]]:
        width = 2 + self.negatives
        if short := next((line for line in lines if len(line) < width), None):
            raise UserError(
                f"{self._source}: the triple of query {short[0]!r} has {len(short) - 2} negatives; lower "
                "teacher.triples.negatives"
            )
        query_rows = queries.positions(line[0] for line in lines)
        document_rows = documents.positions(name for line in lines for name in line[1:width])
        try:
            return [[query_rows[line[0]], *(document_rows[name] for name in line[1:width])] for line in lines]
        except KeyError as error:
            raise UserError(
                f"{self._source}: the triples name {error.args[0]!r}, which is in neither the queries nor the "
                "documents; add it there, or remove the triple"
            ) from None


def _records(file: Path) -> Iterator[tuple[str, str]]:
    for _, document, title, text in iterate_documents(file):
        yield document, DocumentText().searched_text(title, text)


def _stamp_of(path: Path) -> Stamp:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _text_ids(texts: Fields) -> Fields:
    return tuple(_digest(text).hex() for text in texts)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
