"""Runs read back: from W&B's offline logs, or from the run folders' own records; both give `RunLog`s."""

import json
import logging
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.offline_log import NotAWandbLog, OfflineLog
from optical_sweeps.tracking.run_log import LogDamage, RunLog
from optical_sweeps.tracking.wandb_run import CODE_VERSION, STEP

Warn = Callable[[str], None]
NOT_JSON = (ValueError, RecursionError)

CLIENT_FILES = frozenset(
    {"config.yaml", "output.log", "requirements.txt", "wandb-metadata.json", "wandb-summary.json"}
)
"""What the client itself puts beside a run's files."""


def read_offline(folder: Path, *, warn: Warn | None = None) -> list[RunLog]:
    """Every run with a W&B log below `folder`, in order of id.

    All fragments of a run (one per start of the process) are merged in order of their start; rows of the same
    `step` become one, in which later values replace earlier ones. Damaged parts are passed over, counted in
    `RunLog.damage` and named by `warn`, one line a file.

    Raises:
        UserError: no such folder.
    """
    warn = warn or logging.getLogger(__name__).warning
    _require_folder(folder)
    fragments: dict[str, list[_Fragment]] = defaultdict(list)
    for path in _log_files(folder):
        try:
            fragment = _read_fragment(path)
        except NotAWandbLog as error:
            warn(f"{error}; passed over")
            continue
        if fragment.damage.places:
            damage = fragment.damage
            warn(
                f"{path}: damaged in {damage.places} places; {damage.lost_bytes} bytes and at least "
                f"{damage.lost_records} records passed over"
            )
        fragments[fragment.run_id].append(fragment)
    return [_merged(fragments[run_id]) for run_id in sorted(fragments)]


def read_records(folder: Path, *, warn: Warn | None = None) -> list[RunLog]:
    """Every finished run below `folder`, from its `record.json` (and `metrics.jsonl`), in order of id.

    Measures are named as in W&B: `{"test": {"nDCG@10": {"ar": .4}}}` is `test/nDCG@10/ar`.

    Raises:
        UserError: no such folder.
    """
    warn = warn or logging.getLogger(__name__).warning
    _require_folder(folder)
    runs: dict[str, RunLog] = {}
    for path in sorted(_record_files(folder)):
        try:
            run = _run_of_record(path)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            warn(f"{path}: not a run record ({type(error).__name__}: {error}); passed over")
            continue
        runs[run.id] = run
    return [runs[run_id] for run_id in sorted(runs)]


def disagreements(logs: Iterable[RunLog], records: Iterable[RunLog]) -> list[str]:
    """Lines that say where two sources differ: complete runs, configs, and every value of the test split.

    >>> disagreements([RunLog("a", {}, {"test/nDCG@10/ar": .4}, complete=True)], [])
    ['a: in the first source alone']
    """
    first = {run.id: run for run in logs if run.complete}
    second = {run.id: run for run in records if run.complete}
    lines = [f"{run}: in the first source alone" for run in first.keys() - second.keys()]
    lines += [f"{run}: in the second source alone" for run in second.keys() - first.keys()]
    for run in first.keys() & second.keys():
        lines += [f"{run}: {line}" for line in _differences(first[run], second[run])]
    return sorted(lines)


@dataclass
class _Fragment:
    """What one process wrote of a run."""

    path: Path
    run_id: str
    started: float = 0.0
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, str] = field(default_factory=dict)  # values as JSON: most are overwritten unread
    group: str = ""
    tags: tuple[str, ...] = ()
    exit_code: int | None = None
    damage: LogDamage = field(default_factory=LogDamage)


def _read_fragment(path: Path) -> _Fragment:
    fragment = _Fragment(path, run_id=path.stem.removeprefix("run-"))
    log = OfflineLog(path)
    for record in log:
        kind = record.WhichOneof("record_type")
        if kind == "history":
            if row := _row(record.history.item):
                fragment.rows.append(row)
        elif kind == "summary":
            _update_summary(fragment.summary, record.summary)
        elif kind == "config":
            _update_config(fragment.config, record.config)
        elif kind == "run":
            _start(fragment, record.run)
        elif kind == "exit":
            fragment.exit_code = record.exit.exit_code
    fragment.damage = log.damage
    return fragment


def _start(fragment: _Fragment, run: Any) -> None:
    fragment.run_id = run.run_id or fragment.run_id
    fragment.started = run.start_time.seconds + run.start_time.nanos * 1e-9
    fragment.group = run.run_group
    fragment.tags = tuple(run.tags)
    _update_config(fragment.config, run.config)


def _key(item: Any) -> str:
    nested = item.nested_key
    return nested[0] if len(nested) == 1 else ".".join(nested) or item.key


def _row(items: Iterable[Any]) -> dict[str, Any]:
    """A history row without W&B's own keys, save `_step`, which stands in where `step` was not logged."""
    keys: list[str] = []
    texts: list[str] = []
    row: dict[str, Any] = {}
    for item in items:
        key = _key(item)
        if key.startswith("_") and key != "_step":
            continue
        if item.value_json:
            keys.append(key)
            texts.append(item.value_json)
        else:
            row[key] = _typed_value(item)
    try:  # one call for the row: half the time of one for each value
        values = json.loads(f"[{','.join(texts)}]")
    except NOT_JSON:
        values = []
    if len(values) == len(keys):
        row.update(zip(keys, values, strict=True))
    else:
        decoded = zip(keys, map(_json, texts), strict=True)
        row.update((key, value) for key, value in decoded if value is not None)
    own_step = row.pop("_step", None)
    return row if _is_step(row.setdefault(STEP, own_step)) else {}


def _is_step(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _typed_value(item: Any) -> Any:
    """Newer clients can write values by type in place of JSON."""
    for name in ("boolean", "integer", "number", "text"):
        if name in item.DESCRIPTOR.fields_by_name and item.HasField(name):
            return getattr(item, name)
    if "json" in item.DESCRIPTOR.fields_by_name and item.HasField("json"):
        return _json(item.json)
    return None


def _json(text: str) -> Any:
    """The value, or none where the text is not JSON."""
    try:
        return json.loads(text)
    except NOT_JSON:
        return None


def _update_summary(summary: dict[str, str], record: Any) -> None:
    for item in record.update:
        summary[_key(item)] = item.value_json
    for item in record.remove:
        summary.pop(_key(item), None)


def _update_config(config: dict[str, Any], record: Any) -> None:
    for item in record.update:
        *parents, key = item.nested_key or (item.key,)
        inner = config
        for parent in parents:
            if not isinstance(inner.get(parent), dict):
                inner[parent] = {}
            inner = inner[parent]
        inner[key] = _json(item.value_json)
    for item in record.remove:
        config.pop(_key(item), None)


def _merged(fragments: Sequence[_Fragment]) -> RunLog:
    """One run of its fragments. Runs are deterministic, so where fragments overlap they say the same."""
    fragments = sorted(fragments, key=lambda fragment: (fragment.started, str(fragment.path)))
    config: dict[str, Any] = {}
    summary: dict[str, str] = {}
    rows: dict[float, dict[str, Any]] = {}
    files: dict[str, Path] = {}
    for fragment in fragments:
        config |= fragment.config
        summary |= fragment.summary
        files |= _files(fragment.path.parent / "files")
        for row in fragment.rows:
            rows[row[STEP]] = {**rows.get(row[STEP], {}), **row}
    config.pop("_wandb", None)
    code_version = config.pop(CODE_VERSION, {})
    history = [rows[step] for step in sorted(rows)]
    final = {key: value for row in history for key, value in row.items()}
    final |= {key: _json(text) for key, text in summary.items() if not key.startswith("_")}
    final.pop(STEP, None)
    return RunLog(
        id=fragments[0].run_id,
        config=config,
        summary=final,
        history=history,
        files=files,
        group=next((fragment.group for fragment in reversed(fragments) if fragment.group), ""),
        tags=next((fragment.tags for fragment in reversed(fragments) if fragment.tags), ()),
        complete=fragments[-1].exit_code == 0,
        code_version=code_version,
        damage=sum((fragment.damage for fragment in fragments), LogDamage()),
    )


def _files(folder: Path) -> dict[str, Path]:
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {name: path for path in paths if (name := path.relative_to(folder).as_posix()) not in CLIENT_FILES}


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name a sweep's folder, such as multirun/<sweep>")


def _log_files(folder: Path) -> list[Path]:
    """Logs of all fragments, each once; links are not followed (`latest-run` is one)."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        logs = [name for name in names if name.startswith("run-") and name.endswith(".wandb")]
        found += [Path(parent, name) for name in logs]
        folders[:] = [] if logs else sorted(folders)
    return found


def _record_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        if "record.json" in names:
            folders.clear()
            yield Path(parent, "record.json")


def _run_of_record(path: Path) -> RunLog:
    record = json.loads(path.read_text())
    summary = dict(_flat(record["measures"]))
    per_query = path.with_name("per_query.parquet")
    return RunLog(
        id=record["id"],
        config=record["config"],
        summary=summary,
        history=_history(path.with_name("metrics.jsonl")),
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


def _history(path: Path) -> list[dict[str, Any]]:
    rows: dict[float, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        row = _json(line)
        if isinstance(row, dict) and _is_step(row.get(STEP)):
            rows[row[STEP]] = {**rows.get(row[STEP], {}), **row}
    return [rows[step] for step in sorted(rows)]


def _differences(first: RunLog, second: RunLog) -> Iterator[str]:
    if first.config != second.config:
        keys = sorted({**first.config, **second.config})
        differ = [key for key in keys if first.config.get(key) != second.config.get(key)]
        yield f"config differs in {', '.join(differ)}"
    for key in sorted({**first.summary, **second.summary}):
        here, there = first.summary.get(key), second.summary.get(key)
        if key.startswith("test/") and here != there:
            yield f"{key} is {here} and {there}"
