"""The runs that were read from W&B's service before, so that the next call only requests runs that are new or
changed.

Reading 1,000 runs takes 2 requests per run (files, history) and a download each; listing them takes 10 in all.
"""

import gzip
import json
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from optical_sweeps.atomic_files import replacing
from optical_sweeps.limits import limit, parse_json, read_at_most
from optical_sweeps.tracking.run_log import Row

CACHE_FORMAT = 2
"""Raised when the cached values change their meaning; caches of other formats count as empty."""


@dataclass(frozen=True)
class CachedRun:
    """A run as the service returned it.

    Args:
        stamp: creation time, heartbeat, state and number of rows; a different stamp means that the run has
            changed.
        config: as W&B stores it, without the client's own section.
        files: paths of the downloaded files by name, relative to the folder of the cache.
        history: None if the rows were not read.
    """

    stamp: list[object]
    config: dict[str, object]
    summary: dict[str, object]
    group: str
    complete: bool
    files: dict[str, str]
    history: list[Row] | None


class ServiceCache:
    """Cached runs by id, in one gzip file with a checksum that is replaced as a whole.

    A cache that cannot be read, is damaged, or has another format counts as empty. A cache that cannot be
    written is not written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = _load(path)

    def save(self, runs: dict[str, CachedRun]) -> None:
        """Replace the cache by these runs, if they differ from it."""
        if runs == self.runs:
            return
        content = {"format": CACHE_FORMAT, "runs": {name: asdict(run) for name, run in runs.items()}}
        with suppress(OSError):  # the folder may be read-only; the next call reads all runs again
            packed = gzip.compress(json.dumps(content).encode(), compresslevel=1, mtime=0)
            with replacing(self.path) as temporary:
                temporary.write_bytes(packed)


def _load(path: Path) -> dict[str, CachedRun]:
    try:
        most = limit("JSON_BYTES")
        with gzip.open(path) as file:
            text = read_at_most(file, most + 1)
        content = parse_json(text) if len(text) <= most else {}
        if content["format"] != CACHE_FORMAT:
            return {}
        return {name: CachedRun(**run) for name, run in content["runs"].items()}
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return {}
