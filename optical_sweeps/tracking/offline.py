"""Runs read back from W&B's own log files, which online and offline runs alike write."""

import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.cache import Kept, LogCache, stamp_of_file, to_json
from optical_sweeps.tracking.fragments import Fragment, read_fragment, run_of_fragments
from optical_sweeps.tracking.offline_log import NotAWandbLog
from optical_sweeps.tracking.run_log import RunLog

Warn = Callable[[str], None]

MANY = 500
"""Logs from which on other processes help: starting one takes as long as reading some two hundred."""


def read_offline(
    folder: Path,
    *,
    warn: Warn | None = None,
    history: bool = True,
    cache: Path | None = None,
    workers: int | None = None,
) -> list[RunLog]:
    """Every run with a W&B log below `folder`, in order of id.

    All fragments of a run (one per start of the process) are merged in order of their start; rows of the same
    `step` become one, in which later values replace earlier ones. Damaged parts are passed over, counted in
    `RunLog.damage` and named by `warn`, one line a file; the run then counts as unfinished.

    Args:
        history: read the rows too; without them, configs and final values take half the time.
        cache: a file that keeps what was read; logs that look as they did are not read again.
        workers: processes that read; by default one for each processor where there are many logs.

    Raises:
        UserError: no such folder.
    """
    warn = warn or logging.getLogger(__name__).warning
    require_folder(folder)
    fragments: dict[str, list[tuple[Path, Fragment]]] = defaultdict(list)
    for path, fragment in _fragments(folder, LogCache(cache), history, warn, workers):
        if damage := fragment.damage.places and fragment.damage:
            warn(
                f"{path}: damaged in {damage.places} places; {damage.lost_bytes} bytes and at least "
                f"{damage.lost_records} records passed over, so its run counts as unfinished"
            )
        fragments[fragment.run_id].append((path, fragment))
    return [run_of_fragments(fragments[run_id]) for run_id in sorted(fragments)]


def require_folder(folder: Path) -> None:
    """Raises UserError: no such folder."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name a sweep's folder, such as multirun/<sweep>")


def log_files(folder: Path) -> list[Path]:
    """Logs of all fragments below a folder, each once; links are not followed (`latest-run` is one)."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        logs = [name for name in names if name.startswith("run-") and name.endswith(".wandb")]
        found += [Path(parent, name) for name in logs]
        folders[:] = [] if logs else sorted(folders)
    return found


def _fragments(
    folder: Path, cache: LogCache, history: bool, warn: Warn, workers: int | None
) -> Iterator[tuple[Path, Fragment]]:
    """Every fragment, from the cache or read."""
    new: list[tuple[Path, str]] = []
    for path in log_files(folder):
        name = path.relative_to(folder).as_posix()
        stamp = stamp_of_file(path)
        if kept := cache.get(name, stamp, history):
            yield path, _fragment(kept, history)
        else:
            new.append((path, stamp))
    for (path, stamp), (head, rows, error) in zip(
        new, _read_all([path for path, _ in new], history, workers), strict=True
    ):
        if error:
            warn(f"{error}; passed over")
            continue
        kept = Kept(stamp, head, rows)
        cache.put(path.relative_to(folder).as_posix(), kept)
        yield path, _fragment(kept, history)
    cache.save()


Read = tuple[str, str | None, str]
"""Head and rows of a fragment as JSON; or what is wrong with its file."""


def _read_all(paths: Sequence[Path], history: bool, workers: int | None) -> Iterator[Read]:
    """Read logs, in their order, in other processes where there are many."""
    if workers is None:
        alone = len(paths) < MANY or parent_process() is not None
        workers = 1 if alone else _processors()
    done = 0
    if workers > 1:
        try:
            # spawn: a fork of a process with threads (a progress bar's, Arrow's) can hang
            with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
                for read in pool.map(_read, paths, [history] * len(paths), chunksize=50):
                    yield read
                    done += 1
        except BrokenProcessPool:  # a script without `if __name__ == "__main__"` cannot be spawned
            logging.getLogger(__name__).info("no helping processes; reading alone")
    yield from (_read(path, history) for path in paths[done:])


def _read(path: Path, history: bool) -> Read:
    try:
        fragment = read_fragment(path, history=history)
    except NotAWandbLog as error:
        return "", None, str(error)
    except OSError as error:
        return "", None, f"{path}: cannot be read ({error.strerror})"
    return to_json(fragment.head()), fragment.history if history else None, ""


def _fragment(kept: Kept, history: bool) -> Fragment:
    rows = kept.history if history else None
    return Fragment.from_head(json.loads(kept.head), rows or "[]")


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
