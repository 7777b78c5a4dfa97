"""Runs read from W&B's service through its public API."""

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps.tracking.run_log import STEP, Row, RunLog, merged_rows, normalised_summary, split_config
from optical_sweeps.tracking.service_cache import CachedRun, ServiceCache
from optical_sweeps.tracking.wandb_api import NoSuchProject, errors_for_users, public_api

if TYPE_CHECKING:
    import wandb.apis.public
    from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry

Warn = Callable[[str], None]
Advance = Callable[[int, int], None]

PAGE = 100
"""Runs per request."""

READERS = 8
"""Runs whose history and files are read at the same time."""

NAMED_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
"""How the service writes numbers that JSON does not have."""


@dataclass(frozen=True)
class Selection:
    """The runs to read from the service.

    Args:
        project: W&B project.
        entity: user or team; None is the user's default.
        group: name of the sweep; None selects the whole project.
        filters: further conditions in the API's Mongo style, such as `{"config.seed": {"$in": [1, 2]}}`.
        unfinished: also select runs that are running, failed or crashed.
    """

    project: str
    entity: str | None = None
    group: str | None = None
    filters: Mapping[str, object] | None = None
    unfinished: bool = False

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}" if self.entity else self.project

    def condition(self) -> dict[str, object]:
        """The filter for the API."""
        conditions: list[Mapping[str, object]] = [self.filters] if self.filters else []
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
    """The selected runs in order of id.

    Runs are listed page by page. Config, summary, history and files are requested only for runs that are new or
    have changed since the last call. All rows of the history are read, not a sample.

    Args:
        folder: folder for the downloaded files and the cache.
        files: names of files to download for finished runs, from the run's files or else from its artifacts.
        history: also read the rows.
        incremental: use the cache.
        warn: called with one line per run whose history is incomplete.
        progress: called with the number of runs read and to be read.
        timeout: seconds for one request, including its retries.

    Raises:
        NotLoggedIn, NoSuchProject, NoAnswer: as they say.
        UserError: a refused key, or a service that stops answering.
    """
    warn = warn or logging.getLogger(__name__).warning
    with errors_for_users(selection.path):
        api = public_api(timeout, warn)
        # absolute, because the client's service has another working folder
        folder = folder.absolute() / f"{selection.entity or api.default_entity}.{selection.project}"
        with _missing_project(api, selection):
            listed = {run.id: run for run in _runs(api, selection.path, selection.condition(), lazy=True)}
        cache = ServiceCache(folder / "runs.cache")
        runs = {
            name: cached
            for name, run in listed.items()
            if incremental
            and (cached := cache.runs.get(name))
            and cached.stamp == _stamp(run)
            and (cached.history is not None or not history)
            and all((folder / path).exists() for path in cached.files.values())
        }
        changed = [name for name in listed if name not in runs]
        with ThreadPoolExecutor(READERS) as pool:
            reads = pool.map(
                lambda run: (run.id, _read(run, folder, files, history, warn)),
                _whole_runs(api, selection.path, changed),
            )
            for done, (name, run) in enumerate(reads, start=1):
                runs[name] = run
                progress(done, len(changed))
        cache.save(runs)
    return [_run_log(name, runs[name], listed[name].tags, folder, history) for name in sorted(runs)]


def group_names(selection: Selection, *, pages: int = 10, timeout: float = 60.0) -> list[str]:
    """The groups of the project's newest runs, the newest first.

    Args:
        pages: most pages of runs to list.
        timeout: seconds for one request, including its retries.

    Raises:
        UserError: as for `read_wandb`.
    """
    with errors_for_users(selection.path):
        api = public_api(timeout)
        with _missing_project(api, selection):
            runs = _runs(api, selection.path, {}, lazy=True, order="-created_at")
            groups = [run.group for run in islice(runs, pages * PAGE)]
    return list(dict.fromkeys(group for group in groups if group))


@contextmanager
def _missing_project(api: "wandb.Api", selection: Selection) -> Iterator[None]:
    """Name the entity in the client's error of a project that does not exist."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Could not find project"):
            raise
        entity = selection.entity or api.settings["entity"] or api.default_entity
        whose = "" if selection.entity else " (your default)"
        raise NoSuchProject(f"W&B: no project {selection.project} of entity {entity}{whose}") from error


def _runs(
    api: "wandb.Api", path: str, condition: Mapping[str, object], lazy: bool, order: str = "+created_at"
) -> "Iterable[wandb.apis.public.Run]":
    runs: Iterable[wandb.apis.public.Run] = api.runs(path, condition, order=order, per_page=PAGE, lazy=lazy)
    return runs


def _whole_runs(api: "wandb.Api", path: str, names: Sequence[str]) -> "Iterator[wandb.apis.public.Run]":
    """Runs with config and summary, one page per request."""
    for start in range(0, len(names), PAGE):
        yield from _runs(api, path, {"name": {"$in": list(names[start : start + PAGE])}}, lazy=False)


def _stamp(run: "wandb.apis.public.Run") -> list[object]:
    return [run.created_at, run.heartbeat_at, run.state, run.historyLineCount]


def _read(
    run: "wandb.apis.public.Run", folder: Path, files: Sequence[str], history: bool, warn: Warn
) -> CachedRun:
    finished = run.state == "finished"
    return CachedRun(
        stamp=_stamp(run),
        config={key: value for key, value in run.config.items() if key != "_wandb"},
        summary=_metrics(run.summary_metrics),
        group=run.group or "",
        complete=finished,
        files=dict(_downloaded(run, folder, files)) if finished else {},
        history=_rows(run, warn) if history else None,
    )


def _rows(run: "wandb.apis.public.Run", warn: Warn) -> list[Row]:
    """All rows, with W&B's `_step` as the step if no `step` was logged."""
    # the client's cache goes by the number of a file, so it would miss rows that arrive later
    rows = [{STEP: row.get("_step"), **_metrics(row)} for row in run.scan_history(use_cache=False)]
    if len(rows) < run.historyLineCount:
        warn(f"run {run.id}: W&B returned {len(rows)} of the {run.historyLineCount} rows of its history")
    return rows


def _metrics(row: Mapping[str, object]) -> dict[str, object]:
    """Metrics without null and without the client's own keys, which begin with an underscore."""
    return {
        key: NAMED_NUMBERS.get(value, value) if isinstance(value, str) else value
        for key, value in row.items()
        if value is not None and not key.startswith("_")
    }


def _downloaded(run: "wandb.apis.public.Run", folder: Path, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and path of each file that the run has, after its download."""
    of_run = {file.name: file for file in run.files(names=list(names))}
    for name in names:
        path = Path("files", run.id, name)
        if name in of_run:
            with _download_to(folder / path) as place:
                of_run[name].download(place, replace=True).close()
        elif entry := _artifact_entry(run, name):
            with _download_to(folder / path) as place:
                entry.download(place)
        else:
            continue
        yield name, path.as_posix()


@contextmanager
def _download_to(path: Path) -> Iterator[str]:
    """A folder for a download of this name; the file is moved to `path` once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=path.parent) as place:
        yield place
        Path(place, path.name).replace(path)


def _artifact_entry(run: "wandb.apis.public.Run", name: str) -> "ArtifactManifestEntry | None":
    """The file of this name in the newest artifact that contains one."""
    for artifact in reversed(list(run.logged_artifacts())):
        if name in artifact.manifest.entries:
            return artifact.get_entry(name)
    return None


def _run_log(name: str, run: CachedRun, tags: Sequence[str], folder: Path, history: bool) -> RunLog:
    config, code_version = split_config(run.config)
    return RunLog(
        id=name,
        config=config,
        summary=normalised_summary(run.summary),
        history=merged_rows(run.history or []) if history else [],
        files={file: folder / path for file, path in run.files.items()},
        group=run.group,
        tags=tuple(tags),
        complete=run.complete,
        code_version=code_version,
    )
