"""Runs read back from the run folders' own records: the fallback, and the check of what W&B says."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from optical_sweeps.tracking.offline import require_folder
from optical_sweeps.tracking.run_log import STEP, RunLog, in_order_of_steps, is_step, same_config, same_summary


def read_records(
    folder: Path, *, warn: Callable[[str], None] | None = None, history: bool = True
) -> list[RunLog]:
    """Every finished run below `folder`, from its `record.json` (and `metrics.jsonl`), in order of id.

    Measures are named as in W&B: `{"test": {"nDCG@10": {"ar": .4}}}` is `test/nDCG@10/ar`.

    Raises:
        UserError: no such folder.
    """
    warn = warn or logging.getLogger(__name__).warning
    require_folder(folder)
    runs: dict[str, RunLog] = {}
    for path in sorted(_record_files(folder)):
        try:
            run = _run_of_record(path, history)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            warn(f"{path}: not a run record ({type(error).__name__}: {error}); passed over")
            continue
        runs[run.id] = run
    return [runs[run_id] for run_id in sorted(runs)]


def _record_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        if "record.json" in names:
            folders.clear()
            yield Path(parent, "record.json")


def _run_of_record(path: Path, history: bool) -> RunLog:
    record = json.loads(path.read_text())
    rows = _rows(path.with_name("metrics.jsonl"))
    last = {key: value for row in rows for key, value in row.items() if key != STEP}
    final = {**last, **dict(_flat(record["measures"])), **dict(_flat(record.get("usage", {}), "usage/"))}
    per_query = path.with_name("per_query.parquet")
    return RunLog(
        id=record["id"],
        config=same_config(record["config"]),
        summary=same_summary(final),
        history=rows if history else [],
        files={per_query.name: per_query} if per_query.exists() else {},
        group=path.parent.parent.name,
        complete=True,
        code_version=record.get("code", {}),
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _rows(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.exists() else ()
    rows = (row for line in lines if isinstance(row := _json(line), dict) and is_step(row.get(STEP)))
    return in_order_of_steps(rows)


def _json(line: str) -> Any:
    """The value, or none where the line is not JSON: a killed process leaves half a line."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
