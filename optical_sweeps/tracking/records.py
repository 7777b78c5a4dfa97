"""Runs read from the records in their run folders: the fallback for W&B's logs and the check of them."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from optical_sweeps.limits import parse_json, read_json
from optical_sweeps.tracking.offline import require_folder
from optical_sweeps.tracking.run_log import (
    NoRuns,
    Row,
    RunLog,
    flattened,
    merged_rows,
    normalised_config,
    normalised_summary,
)


def read_records(
    folder: Path, *, warn: Callable[[str], None] | None = None, history: bool = True
) -> list[RunLog]:
    """Every finished run below `folder`, from its `record.json` and `metrics.jsonl`, in order of id.

    Measures have the names that W&B uses: `{"test": {"nDCG@10": {"ar": .4}}}` is `test/nDCG@10/ar`.

    Raises:
        NoRuns: no record is below the folder.
        UserError: the folder does not exist.
    """
    warn = warn or logging.getLogger(__name__).warning
    require_folder(folder)
    runs: dict[str, RunLog] = {}
    paths = sorted(_record_files(folder))
    if not paths:
        raise NoRuns(f"{folder}: no finished run below this folder; name a sweep's folder")
    for path in paths:
        try:
            run = _run_of_record(path, history)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            warn(f"{path}: not a run record ({type(error).__name__}: {error}); skipped")
            continue
        runs[run.id] = run
    return [runs[run_id] for run_id in sorted(runs)]


def _record_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        if "record.json" in names:
            folders.clear()
            yield Path(parent, "record.json")


def _run_of_record(path: Path, history: bool) -> RunLog:
    record = read_json(path)
    rows = _rows(path.with_name("metrics.jsonl"))
    summary: dict[str, object] = {}
    for row in rows:
        summary |= row
    summary |= dict(flattened(record["measures"], "/"))
    summary |= dict(flattened(record.get("usage", {}), "/", "usage/"))
    summary |= dict(flattened(record.get("drift", {}), "/", "drift/"))
    per_query = path.with_name("per_query.parquet")
    return RunLog(
        id=record["id"],
        config=normalised_config(record["config"]),
        summary=normalised_summary(summary),
        history=rows if history else [],
        files={per_query.name: per_query} if per_query.exists() else {},
        group=path.parent.parent.name,
        complete=True,
        code_version=record.get("code", {}),
    )


def _rows(path: Path) -> list[Row]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else ()
    return merged_rows(row for line in lines if isinstance(row := _json(line), dict))


def _json(line: str) -> object:
    """The value, or None if the line is not JSON: a killed process can leave half a line."""
    try:
        value: object = parse_json(line)
    except (ValueError, RecursionError):
        return None
    return value
