"""Runs read back from W&B's service through its public API."""

import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.cache import Kept, LogCache, to_json
from optical_sweeps.tracking.login import is_logged_in, one_line
from optical_sweeps.tracking.run_log import (
    CODE_VERSION,
    STEP,
    RunLog,
    in_order_of_steps,
    is_step,
    same_config,
    same_summary,
)

Warn = Callable[[str], None]
Advance = Callable[[int, int], None]

PAGE = 100
"""Runs a request."""

READERS = 8
"""Runs whose history and files are read at a time."""

NAMED_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
"""How the service writes what JSON cannot."""


@dataclass(frozen=True)
class Selection:
    """Which runs of the service.

    Args:
        project: W&B project.
        entity: user or team; none is the user's default.
        group: name of the sweep; none is all of the project.
        filters: more conditions, in the API's Mongo style, such as `{"config.seed": {"$in": [1, 2]}}`.
        unfinished: also runs that are running, failed or crashed.
    """

    project: str
    entity: str | None = None
    group: str | None = None
    filters: Mapping[str, Any] | None = None
    unfinished: bool = False

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}" if self.entity else self.project

    def condition(self) -> dict[str, Any]:
        """The filter that the API takes."""
        conditions: list[Mapping[str, Any]] = [self.filters] if self.filters else []
        if self.group:
            conditions.append({"group": self.group})
        if not self.unfinished:
            conditions.append({"state": "finished"})
        return {"$and": conditions} if conditions else {}


def read_wandb(
    selection: Selection,
    folder: Path,
    *,
    files: Sequence[str] = ("per_query.parquet",),
    history: bool = True,
    incremental: bool = True,
    warn: Warn | None = None,
    progress: Advance = lambda done, total: None,
    timeout: float = 60.0,
) -> list[RunLog]:
    """The selected runs, in order of id.

    Runs are listed page by page; of those that are new or have changed since the last call, config, summary,
    history (from the last known row on) and files are read. The rows are all rows, not a sample.

    Args:
        folder: keeps what was read: files of runs, and a cache.
        files: of finished runs, fetched into `folder`: from a run's files, else from its artifacts.
        history: read the rows too.
        incremental: believe the cache.
        timeout: seconds for one request, with its repetitions.

    Raises:
        UserError: not logged in, no such project, a refused key, or a service that does not answer.
    """
    warn = warn or logging.getLogger(__name__).warning
    with errors_for_users(selection.path):
        api = public_api(timeout)
        reader = _Reader(api, selection, folder, tuple(files), history, warn)
        runs = reader.read(incremental, progress)
    return sorted(runs, key=lambda run: run.id)


class _Reader:
    """One reading of a selection."""

    def __init__(
        self,
        api: Any,
        selection: Selection,
        folder: Path,
        files: tuple[str, ...],
        history: bool,
        warn: Warn,
    ) -> None:
        self.api, self.selection, self.history, self.warn = api, selection, history, warn
        self.wanted_files = files
        entity = selection.entity or api.default_entity
        self.folder = folder / f"{entity}.{selection.project}"

    def read(self, incremental: bool, progress: Advance) -> list[RunLog]:
        listed = {run.id: run for run in self._runs(self.selection.condition(), lazy=True)}
        cache = LogCache(self.folder / "runs.cache")
        known = {
            name: kept
            for name, run in listed.items()
            if incremental and (kept := cache.get(name, _stamp(run), self.history)) and self._has_files(kept)
        }
        changed = [name for name in listed if name not in known]
        with ThreadPoolExecutor(READERS) as pool:
            reads = pool.map(lambda run: (run.id, self._read(run, cache.older(run.id))), self._whole(changed))
            for done, (name, kept) in enumerate(reads, start=1):
                known[name] = kept
                cache.put(name, kept)
                progress(done, len(changed))
        cache.save()
        return [self._log(name, kept, listed[name].tags) for name, kept in known.items()]

    def _runs(self, condition: Mapping[str, Any], lazy: bool) -> Iterable[Any]:
        runs: Iterable[Any] = self.api.runs(
            self.selection.path, dict(condition), order="+created_at", per_page=PAGE, lazy=lazy
        )
        return runs

    def _whole(self, names: Sequence[str]) -> Iterator[Any]:
        """Runs with config and summary, a page a request."""
        for start in range(0, len(names), PAGE):
            yield from self._runs({"name": {"$in": list(names[start : start + PAGE])}}, lazy=False)

    def _read(self, run: Any, older: Kept | None) -> Kept:
        stamp = _stamp(run)
        rows = self._rows(run, older) if self.history else None
        found = dict(self._fetched(run)) if run.state == "finished" else {}
        head = {
            "config": {key: value for key, value in run.config.items() if key != "_wandb"},
            "summary": _values(run.summary_metrics),
            "group": run.group or "",
            "complete": run.state == "finished",
            "files": found,
        }
        return Kept(stamp, to_json(head), None if rows is None else to_json(rows))

    def _rows(self, run: Any, older: Kept | None) -> list[dict[str, Any]]:
        """All rows; those that are known are not read again where the run has only grown."""
        old = _known_rows(run, older)
        if old:
            new = [
                _values(row, "_step") for row in run.scan_history(min_step=old[-1]["_step"], use_cache=False)
            ]
            if new[:1] == old[-1:] and len(old) + len(new) - 1 == run.historyLineCount:
                return old + new[1:]
        # no cache of the client's: it goes by a file's number, and rows that come later are then never seen
        rows = [_values(row, "_step") for row in run.scan_history(use_cache=False)]
        if len(rows) < run.historyLineCount:
            self.warn(f"run {run.id}: W&B gave {len(rows)} of {run.historyLineCount} rows of its history")
        return rows

    def _fetched(self, run: Any) -> Iterator[tuple[str, str]]:
        """Name and path in `folder` of the wanted files that the run has, fetched."""
        target = self.folder / "files" / run.id
        here = {file.name: file for file in run.files(names=list(self.wanted_files))}
        for name in self.wanted_files:
            if name in here:
                _fetch(target / name, partial(_download, here[name]))
            elif entry := _entry_of_artifacts(run, name):
                _fetch(target / name, entry.download)
            else:
                continue
            yield name, f"files/{run.id}/{name}"

    def _has_files(self, kept: Kept) -> bool:
        return all((self.folder / path).exists() for path in json.loads(kept.head)["files"].values())

    def _log(self, name: str, kept: Kept, tags: Sequence[str]) -> RunLog:
        head = json.loads(kept.head)
        config, summary = head["config"], head["summary"]
        rows = json.loads(kept.history) if self.history and kept.history else []
        code_version = config.pop(CODE_VERSION, {})
        summary.pop(STEP, None)
        return RunLog(
            id=name,
            config=same_config(config),
            summary=same_summary(summary),
            history=in_order_of_steps(_with_steps(rows)),
            files={file: self.folder / path for file, path in head["files"].items()},
            group=head["group"],
            tags=tuple(tags),
            complete=head["complete"],
            code_version=code_version,
        )


def public_api(timeout: float) -> Any:
    """The client's API.

    Args:
        timeout: seconds for one request, with its repetitions.

    Raises:
        UserError: not logged in.
    """
    if not is_logged_in():
        raise UserError("W&B: not logged in; run `wandb login`, or use source=offline or source=records")
    import wandb

    settings = wandb.setup(settings=wandb.Settings(silent=True)).settings
    with _patience(settings, timeout):
        return wandb.Api(timeout=timeout)  # which copies them


@contextmanager
def _patience(settings: Any, timeout: float) -> Iterator[None]:
    """Bound the client's repetitions, for what is made within; runs of this process keep their own patience.

    Its background process repeats a request for a quarter of an hour, whoever still waits for the answer, and
    the end of the program may wait for that.
    """
    wanted = {
        "x_graphql_retry_max": 4,
        "x_graphql_retry_wait_min_seconds": timeout / 20,
        "x_graphql_retry_wait_max_seconds": timeout / 5,
        "x_graphql_timeout_seconds": timeout / 3,
    }
    before = {name: getattr(settings, name) for name in wanted if name in type(settings).model_fields}
    for name in before:
        setattr(settings, name, wanted[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)


def _stamp(run: Any) -> str:
    """What changes when a run goes on."""
    return to_json([run.created_at, run.heartbeat_at, run.state, run.historyLineCount])


def _known_rows(run: Any, older: Kept | None) -> list[dict[str, Any]]:
    """Rows read before, of the same start of the same run, if it has not shrunk since."""
    if older is None or older.history is None:
        return []
    created, _, _, count = json.loads(older.stamp)
    rows: list[dict[str, Any]] = json.loads(older.history)
    unchanged = created == run.created_at and len(rows) == count <= run.historyLineCount
    return rows if unchanged else []


def _values(row: Mapping[str, Any], *own: str) -> dict[str, Any]:
    """Metrics without the client's own, but for those named, and without holes."""
    return {
        key: NAMED_NUMBERS.get(value, value) if isinstance(value, str) else value
        for key, value in row.items()
        if value is not None and (key in own or not key.startswith("_"))
    }


def _with_steps(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows with our own `step`, for which W&B's stands in where it was not logged."""
    for row in rows:
        metrics = {key: value for key, value in row.items() if key != "_step"}
        if is_step(metrics.setdefault(STEP, row.get("_step"))):
            yield metrics


def _fetch(path: Path, download: Callable[[str], Any]) -> None:
    """Bring a file to `path`, whole or not at all; `download` puts it into a folder under its own name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=path.parent) as place:
        download(place)
        Path(place, path.name).replace(path)


def _download(file: Any, place: str) -> None:
    file.download(place, replace=True).close()


def _entry_of_artifacts(run: Any, name: str) -> Any:
    """A file of that name in the newest artifact that holds one."""
    for artifact in reversed(list(run.logged_artifacts())):
        if name in artifact.manifest.entries:
            return artifact.get_entry(name)
    return None


def require_service(timeout: float = 10.0) -> None:
    """Ask the service who the user is.

    Raises:
        UserError: not logged in, a refused key, or a service that does not answer.
    """
    try:
        known = public_api(timeout).default_entity
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"W&B: {one_line(error)}; check the key and the network") from error
    if known is None:
        raise UserError("W&B: the service does not know the key; run `wandb login`")


@contextmanager
def errors_for_users(path: str) -> Iterator[None]:
    """The client's errors, which are of many kinds, as one line without keys."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"W&B project {path}: {one_line(error)}; check its name, the key and the network"
        ) from error
