"""One dataset of ir_datasets, by its id."""

import difflib
import importlib
import locale
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from optical_sweeps.corpora.well_formed import well_formed
from optical_sweeps.errors import UserError, first_line

Handle = Any
"""An object of ir_datasets, which has no types: its package, a dataset, or a source of bytes."""
OnDuplicate = Literal["refuse", "first"]
"""What to do with a repeated id."""


@dataclass(frozen=True)
class IrDataset:
    """A dataset such as `miracl/sw/dev`; a method reads or downloads what it needs.

    Raises:
        UserError: ir_datasets has no such id.
    """

    id: str

    def __post_init__(self) -> None:
        try:
            check_dataset_id(self.id)
        except ValueError as error:
            raise UserError(str(error)) from None

    def documents_dataset(self) -> "IrDataset":
        """The dataset with the shortest id that has the same documents: `miracl/sw` for `miracl/sw/dev`."""
        with self._explained("documents"):
            return IrDataset(str(_package().parent_id(self.id, _package().EntityType.docs)))

    def documents_language(self) -> str | None:
        """The language that the provider states."""
        return self._dataset.docs_lang() if self._dataset.has_docs() else None

    def queries_language(self) -> str | None:
        """The language that the provider states."""
        return self._dataset.queries_lang() if self._dataset.has_queries() else None

    def documents_count(self) -> int | None:
        """The number of documents, if ir_datasets knows it without a download."""
        package = _package()
        facts = package.util.default_metadata_provider.get_metadata(self.id, package.EntityType.docs)
        return int(facts["count"]) if "count" in facts else None

    def documents_stamp(self) -> list[int] | None:
        """Size and time of the documents' first file, if it exists."""
        return _stamp(self._documents_path())

    def docpairs_stamp(self) -> list[int] | None:
        """Size and time of the triples' file, if it exists."""
        try:
            return _stamp(Path(self._dataset.docpairs_path(force=False)))
        except (AttributeError, TypeError):  # some datasets have no such path
            return None

    def documents(self) -> Iterator[tuple[str, str, str]]:
        """(id, title, text) of every document; the title is empty if the dataset has none."""
        self._check_has("documents", self._dataset.has_docs())
        with self._explained("documents"):
            for document in self._dataset.docs_iter():
                title = getattr(document, "title", None) or ""
                text = getattr(document, "text", None)
                if text is None:  # neither of the usual fields: take what the dataset searches
                    title, text = "", document.default_text()
                yield document.doc_id, title.strip(), text.strip()

    def queries(self, field: str | None = None, on_duplicate: OnDuplicate = "refuse") -> dict[str, str]:
        """Query id -> text of a field; half surrogate pairs become U+FFFD.

        Args:
            field: None is the field that the dataset searches by.
            on_duplicate: what to do with a repeated id whose text is another: refuse, or keep the first.

        Raises:
            UserError: there are no queries or no such field, they cannot be read, or an id is repeated.
        """
        self._check_has("queries", self._dataset.has_queries())
        if field is not None and field not in self._dataset.queries_cls()._fields:
            known = ", ".join(self._dataset.queries_cls()._fields[1:])
            raise UserError(f"{self.id}: its queries have no field {field!r}; there are {known}")
        texts: dict[str, str] = {}
        with self._explained("queries"):
            for query in self._unfiltered_queries().queries_iter():
                text = query.default_text() if field is None else getattr(query, field)
                name, text = well_formed(query.query_id), well_formed(text or "").strip()
                if texts.setdefault(name, text) != text and on_duplicate == "refuse":
                    raise UserError(
                        f"{self.id}: query id {name!r} is repeated with another text; set on_duplicate to first"
                    )
        return texts

    def _unfiltered_queries(self) -> Handle:
        """The queries without the filters of subsets, which depend on the judgements; we filter by our own.

        neuclir/1/*/trec-2023 of ir_datasets 0.6.3 filters by the judgements of 2022 and loses its queries.
        """
        handler = self._dataset.queries_handler()
        while hasattr(handler, "_queries_handler"):
            handler = handler._queries_handler
        return handler

    def qrels(self, on_duplicate: OnDuplicate = "refuse") -> dict[str, dict[str, int]]:
        """Query id -> document id -> grade; negative grades, which TREC uses for junk, become 0.

        Args:
            on_duplicate: what to do with a document that a query has twice with other grades: refuse, or keep
                the first.
        """
        self._check_has("qrels", self._dataset.has_qrels())
        qrels: dict[str, dict[str, int]] = {}
        with self._explained("qrels"):
            for qrel in self._dataset.qrels_iter():
                grades, grade = qrels.setdefault(qrel.query_id, {}), max(int(qrel.relevance), 0)
                if grades.setdefault(qrel.doc_id, grade) != grade and on_duplicate == "refuse":
                    raise UserError(
                        f"{self.id}: document {qrel.doc_id!r} is judged twice for query {qrel.query_id!r}, "
                        "with other grades; set on_duplicate to first"
                    )
        return qrels

    def docpairs(self) -> Iterator[tuple[str, str, str]]:
        """(query id, id of a relevant document, id of another) of every triple, in the dataset's order."""
        self._check_has("docpairs", self._dataset.has_docpairs())
        with self._explained("docpairs"):
            for pair in self._dataset.docpairs_iter():
                yield pair.query_id, pair.doc_id_a, pair.doc_id_b

    @cached_property
    def _dataset(self) -> Handle:
        with self._explained("list of files"):
            return _package().load(self.id)

    def _documents_path(self) -> Path | None:
        try:
            return Path(self._dataset.docs_path(force=False))
        except (AttributeError, TypeError):  # some datasets have none
            return None

    def _check_has(self, part: str, has_part: bool) -> None:
        if not has_part:
            raise UserError(
                f"{self.id}: this dataset has no {part}; name one that has, such as a dev or test set"
            )

    @contextmanager
    def _explained(self, part: str) -> Iterator[None]:
        """Turn the many exceptions of the loaders into an error about data that is missing or unreadable."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            path = self._documents_path() if part == "documents" else None
            raise UserError(f"{self.id}: its {part} {_explanation(error, path)}") from error


def known_ids() -> Collection[str]:
    """Every id that ir_datasets lists, without those that it describes by patterns (clirmatrix)."""
    return frozenset(_package().registry)


def is_known(dataset_id: str) -> bool:
    """Whether ir_datasets has a dataset of this id."""
    registry = _package().registry
    return dataset_id in known_ids() or any(pattern.match(dataset_id) for pattern, _ in registry._patterns)


def check_dataset_id(dataset_id: str) -> str:
    """The id itself.

    Raises:
        ValueError: ir_datasets has no such id.
    """
    if is_known(dataset_id):
        return dataset_id
    similar = difflib.get_close_matches(dataset_id, known_ids(), n=3)
    hint = f"did you mean {' or '.join(similar)}?" if similar else "see ir-datasets.com for its ids"
    raise ValueError(f"{dataset_id}: ir_datasets has no such dataset; {hint}")


DatasetId = Annotated[str, AfterValidator(check_dataset_id)]
"""The id of a dataset of ir_datasets."""


def _package() -> Handle:
    """ir_datasets, which opens text files in the locale's encoding."""
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") != "utf8":
        raise UserError(f"ir_datasets would read files as {encoding}, not UTF-8; set PYTHONUTF8=1")
    return importlib.import_module("ir_datasets")


def _stamp(path: Path | None) -> list[int] | None:
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns] if status else None


def _explanation(error: Exception, path: Path | None) -> str:
    """What failed, where, and what to do; `path` is used if the error names no file."""
    import requests

    place = _place(_last_download(error)) or (str(path) if path else None)
    at = f" ({place})" if place else ""
    if isinstance(error, requests.exceptions.RequestException):
        url = getattr(error.request, "url", None) or "the provider"
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            return (
                f"are refused by {url} (HTTP {status}); accept the terms there if there are any, fetch the "
                f"file by hand and put it at {place}"
            )
        reason = f"HTTP {status}" if status else type(error).__name__
        return f"cannot be downloaded from {url} ({reason}); fetch the file elsewhere and put it at {place}"
    if isinstance(error, _package().util.HashVerificationError):
        return f"are damaged or truncated{at}: the checksum differs; download again"
    if isinstance(error, FileNotFoundError):
        return f"are missing{at or f' ({error})'}; {_licence_step(place or str(error))}"
    if isinstance(error, EOFError | OSError) and place:
        return f"are damaged or truncated{at}: {first_line(error)}; delete the file and fetch it again"
    return f"cannot be read{at}: {first_line(error)}; delete the file and fetch it again"


def _last_download(error: Exception) -> Handle:
    """The innermost source of bytes that the failing loader used.

    The errors of ir_datasets seldom name a file, but its loaders keep the source in variables of these names.
    """
    source = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for name in ("dlc", "self"):
            value = frame.f_locals.get(name)
            value = getattr(value, "dlc", None) if name == "self" and hasattr(value, "stream_idx") else value
            if isinstance(value, list):
                value = value[min(frame.f_locals["self"].stream_idx, len(value) - 1)]
            if type(value).__module__.startswith("ir_datasets.util") and hasattr(value, "path"):
                source = value
    return source


def _place(source: Handle) -> str | None:
    """The file of a source, or where ir_datasets would look for it; downloads nothing."""
    while source is not None:
        if cached := getattr(source, "_cache_path", None):
            return str(cached)
        if md5 := getattr(source, "expected_md5", None):
            return str(Path(_package().util.home_path()) / "downloads" / md5)
        if isinstance(source, _package().util.RelativePath | _package().util.Cache):
            return str(source.path(force=False))
        source = getattr(source, "_streamer", None)
    return None


def _licence_step(place: str) -> str:
    """The provider's instructions for getting the file, or a general one if there are none."""
    home = _package().util.home_path()
    for name, files in _package().util.DownloadConfig.contents().items():
        for file in files.values():
            if isinstance(file, dict) and "instructions" in file:
                path = home / name / file["cache_path"] if "cache_path" in file else None
                path = path or home / "downloads" / file.get("expected_md5", "")
                if str(path) == place:
                    return " ".join(file["instructions"].format(path=place).split())
    return "fetch the file and put it there"
