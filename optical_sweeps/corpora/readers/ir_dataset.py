"""One dataset of ir_datasets by its id, with errors that say what to do."""

import difflib
import importlib
import locale
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from optical_sweeps.errors import UserError, first_line


@dataclass(frozen=True)
class IrDataset:
    """A dataset such as `miracl/sw/dev`; nothing is read or downloaded before a method asks for it.

    Raises:
        UserError: there is no such id.
    """

    id: str

    def __post_init__(self) -> None:
        _check_id(self.id)

    @property
    def has_documents(self) -> bool:
        return bool(self._dataset.has_docs())

    def documents_id(self) -> str:
        """The shortest id with the same documents: `miracl/sw` of `miracl/sw/dev`."""
        with self._explained("documents"):
            return str(_package().parent_id(self.id, _package().EntityType.docs))

    def documents_language(self) -> str | None:
        """As the provider says it."""
        return self._dataset.docs_lang() if self.has_documents else None

    def queries_language(self) -> str | None:
        """As the provider says it."""
        return self._dataset.queries_lang() if self._dataset.has_queries() else None

    def documents_count(self) -> int | None:
        """How many documents there should be, where ir_datasets knows without a download."""
        package = _package()
        facts = package.util.default_metadata_provider.get_metadata(self.id, package.EntityType.docs)
        return int(facts["count"]) if "count" in facts else None

    def documents_stamp(self) -> list[int] | None:
        """Size and time of the documents' first file, where it is there."""
        path = self._documents_path()
        try:
            status = path.stat() if path else None
        except OSError:
            return None
        return [status.st_size, status.st_mtime_ns] if status else None

    def _documents_path(self) -> Path | None:
        try:
            return Path(self._dataset.docs_path(force=False))
        except (AttributeError, TypeError):  # some datasets have none
            return None

    def documents(self) -> Iterator[tuple[str, str, str]]:
        """(id, title, text) of every document; the title is empty where the dataset has none."""
        self._check_has("documents", self.has_documents)
        with self._explained("documents"):
            for document in self._dataset.docs_iter():
                title = getattr(document, "title", None) or ""
                text = getattr(document, "text", None)
                if text is None:  # neither of the usual fields: whatever the dataset searches
                    title, text = "", document.default_text()
                yield document.doc_id, title.strip(), text.strip()

    def queries(self, field: str | None = None) -> dict[str, str]:
        """Query id -> text: of a field, or what the dataset calls a query's text."""
        self._check_has("queries", self._dataset.has_queries())
        if field is not None and field not in self._dataset.queries_cls()._fields:
            known = ", ".join(self._dataset.queries_cls()._fields[1:])
            raise UserError(f"{self.id}: its queries have no field {field!r}; there are {known}")
        with self._explained("queries"):
            return {
                query.query_id: (query.default_text() if field is None else getattr(query, field) or "").strip()
                for query in self._unfiltered_queries().queries_iter()
            }

    def _unfiltered_queries(self) -> Any:
        """Without the filters of subsets, which ask the judgements: so do we, for the subset at hand.

        neuclir/1/*/trec-2023 of ir_datasets 0.6.3 filters by the judgements of 2022, and loses its queries.
        """
        handler = self._dataset.queries_handler()
        while hasattr(handler, "_queries_handler"):
            handler = handler._queries_handler
        return handler

    def qrels(self) -> dict[str, dict[str, int]]:
        """Query id -> document id -> grade; grades below 0 (junk, by TREC's custom) count as 0."""
        self._check_has("qrels", self._dataset.has_qrels())
        qrels: dict[str, dict[str, int]] = {}
        with self._explained("qrels"):
            for qrel in self._dataset.qrels_iter():
                qrels.setdefault(qrel.query_id, {})[qrel.doc_id] = max(int(qrel.relevance), 0)
        return qrels

    def docpairs(self) -> Iterator[tuple[str, str, str]]:
        """(query id, id of a relevant document, id of another) of every triple, in the dataset's order."""
        self._check_has("docpairs", self._dataset.has_docpairs())
        with self._explained("docpairs"):
            for pair in self._dataset.docpairs_iter():
                yield pair.query_id, pair.doc_id_a, pair.doc_id_b

    def docpairs_stamp(self) -> list[int] | None:
        """Size and time of the triples' file, where it is there."""
        try:
            status = Path(self._dataset.docpairs_path(force=False)).stat()
        except (AttributeError, TypeError, OSError):  # some datasets have no such path
            return None
        return [status.st_size, status.st_mtime_ns]

    @cached_property
    def _dataset(self) -> Any:
        with self._explained("list of files"):
            return _package().load(self.id)

    def _check_has(self, what: str, has: bool) -> None:
        if not has:
            raise UserError(
                f"{self.id}: this dataset has no {what}; name one that has, such as a dev or test set"
            )

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Whatever a loader raises (there are many kinds) is about data that cannot be had or read."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            path = self._documents_path() if what == "documents" else None
            raise UserError(f"{self.id}: its {what} {_explanation(error, path)}") from error


def known_ids() -> Collection[str]:
    """Every id that ir_datasets lists; those of large grids (clirmatrix) are patterns and not among them."""
    return frozenset(_package().registry)


def is_known(dataset_id: str) -> bool:
    """Whether ir_datasets has a dataset of this id."""
    registry = _package().registry
    return dataset_id in known_ids() or any(pattern.match(dataset_id) for pattern, _ in registry._patterns)


def _check_id(dataset_id: str) -> None:
    if is_known(dataset_id):
        return
    near = difflib.get_close_matches(dataset_id, known_ids(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see ir-datasets.com for its ids"
    raise UserError(f"{dataset_id}: ir_datasets has no such dataset; {hint}")


def _package() -> Any:
    """ir_datasets, which opens text files in the locale's encoding."""
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") != "utf8":
        raise UserError(f"ir_datasets would read files as {encoding}, not UTF-8; set PYTHONUTF8=1")
    return importlib.import_module("ir_datasets")


def _explanation(error: Exception, path: Path | None) -> str:
    """What went wrong, where, and what to do; `path` is a guess for errors that tell no file."""
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
        why = f"HTTP {status}" if status else type(error).__name__
        return f"cannot be downloaded from {url} ({why}); fetch the file elsewhere and put it at {place}"
    if isinstance(error, _package().util.HashVerificationError):
        return f"came damaged or cut short{at}: the checksum differs; download again"
    if isinstance(error, FileNotFoundError):
        return f"are not there{at or f' ({error})'}; {_licence_step(place or str(error))}"
    if isinstance(error, EOFError | OSError) and place:
        return f"are damaged or cut short{at}: {first_line(error)}; delete the file and fetch it again"
    return f"cannot be read{at}: {first_line(error)}; delete the file and fetch it again"


def _last_download(error: Exception) -> Any:
    """The innermost source of bytes that the failing loader was at.

    ir_datasets' errors seldom name a file, and its loaders keep the source in a variable of these names.
    """
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for name in ("dlc", "self"):
            value = frame.f_locals.get(name)
            value = getattr(value, "dlc", None) if name == "self" and hasattr(value, "stream_idx") else value
            if isinstance(value, list):
                value = value[min(frame.f_locals["self"].stream_idx, len(value) - 1)]
            if type(value).__module__.startswith("ir_datasets.util") and hasattr(value, "path"):
                found = value
    return found


def _place(source: Any) -> str | None:
    """Where a source's file lies, or where ir_datasets would find one put there by hand; downloads nothing."""
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
    """What the provider says must be done to get the file; a general word where it says nothing."""
    home = _package().util.home_path()
    for name, files in _package().util.DownloadConfig.contents().items():
        for file in files.values():
            if isinstance(file, dict) and "instructions" in file:
                path = home / name / file["cache_path"] if "cache_path" in file else None
                path = path or home / "downloads" / file.get("expected_md5", "")
                if str(path) == place:
                    return " ".join(file["instructions"].format(path=place).split())
    return "fetch the file and put it there"
