"""A fragment is what one process wrote about a run into one W&B log; a run is merged from its fragments."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from optical_sweeps.limits import parse_json
from optical_sweeps.tracking.offline_log import OfflineLog
from optical_sweeps.tracking.run_log import (
    STEP,
    LogDamage,
    Row,
    RunLog,
    merged_rows,
    normalised_summary,
    split_config,
    step_of,
)

if TYPE_CHECKING:
    from wandb.proto.wandb_internal_pb2 import ConfigRecord, HistoryItem, RunRecord

CLIENT_FILES = frozenset(
    {"config.yaml", "output.log", "requirements.txt", "wandb-metadata.json", "wandb-summary.json"}
)
"""Files that W&B's client itself writes next to the files of a run."""

TYPED_VALUES = ("boolean", "integer", "number", "text")
"""Fields of a history item in which newer clients write a value instead of as JSON."""


@runtime_checkable
class Item(Protocol):
    """A key and a value as JSON: an item of a config, history or summary record."""

    key: str
    nested_key: Sequence[str]
    value_json: str


@dataclass
class Fragment:
    """What one process wrote about a run.

    Args:
        started: seconds since 1970.
        config: nested, as logged.
        summary: the last value of every metric.
        history: rows in the order in which they were logged.
        opened: the log contains the record that names the run and its config.
        exit_code: None if the log ends without one.
    """

    run_id: str
    started: float = 0.0
    config: dict[str, object] = field(default_factory=dict)
    summary: dict[str, object] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    group: str = ""
    tags: tuple[str, ...] = ()
    opened: bool = False
    exit_code: int | None = None
    damage: LogDamage = field(default_factory=LogDamage)


def read_fragment(path: Path, *, history: bool = True) -> Fragment:
    """Read everything that is intact in one log file.

    Args:
        history: also keep the rows; False only updates the summary from them.

    Raises:
        NotAWandbLog: it is a different kind of file.
        OSError: it cannot be read.
    """
    fragment = Fragment(run_id=path.stem.removeprefix("run-"))
    final: dict[str, str] = {}  # JSON texts, since all but the last value of a metric are never needed
    log = OfflineLog(path)
    for record in log:
        kind = record.WhichOneof("record_type")
        if kind == "history":
            texts = {_key(item): _history_text(item) for item in record.history.item}
            final |= texts
            if history and step_of(row := _row(texts)) is not None:
                fragment.history.append(row)
        elif kind == "summary":
            final |= {_key(item): item.value_json for item in record.summary.update}
            for item in record.summary.remove:
                final.pop(_key(item), None)
        elif kind == "config":
            _update_config(fragment.config, record.config)
        elif kind == "run":
            _open(fragment, record.run)
        elif kind == "exit":
            fragment.exit_code = record.exit.exit_code
    fragment.summary = _decoded(final)
    fragment.damage = log.damage
    return fragment


def run_of_fragments(fragments: Sequence[tuple[Path, Fragment]]) -> RunLog:
    """Merge the fragments of one run in order of their start; later values replace earlier ones."""
    ordered = sorted(fragments, key=lambda pair: (pair[1].started, str(pair[0])))
    config: dict[str, object] = {}
    summary: dict[str, object] = {}
    files: dict[str, Path] = {}
    rows: list[Row] = []
    group = ""
    tags: tuple[str, ...] = ()
    damage = LogDamage()
    for path, fragment in ordered:
        config |= fragment.config
        summary |= fragment.summary
        files |= _files(path.parent / "files")
        rows += fragment.history
        group, tags = fragment.group or group, fragment.tags or tags
        damage += fragment.damage
    last = ordered[-1][1]
    opened = any(fragment.opened for _, fragment in ordered)
    own_config, code_version = split_config(config)
    return RunLog(
        id=last.run_id,
        config=own_config,
        summary=normalised_summary(summary),
        history=merged_rows(rows),
        files=files,
        group=group,
        tags=tags,
        complete=last.exit_code == 0 and not damage.places and opened,
        code_version=code_version,
        damage=damage,
    )


def _files(folder: Path) -> dict[str, Path]:
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {name: path for path in paths if (name := path.relative_to(folder).as_posix()) not in CLIENT_FILES}


def _open(fragment: Fragment, run: "RunRecord") -> None:
    fragment.opened = True
    fragment.run_id = run.run_id or fragment.run_id
    fragment.started = run.start_time.seconds + run.start_time.nanos * 1e-9
    fragment.group = run.run_group
    fragment.tags = tuple(run.tags)
    _update_config(fragment.config, run.config)


def _key(item: Item) -> str:
    return ".".join(item.nested_key) or item.key


def _history_text(item: "HistoryItem") -> str:
    """The value as JSON."""
    if item.value_json:
        return str(item.value_json)
    kind = item.WhichOneof("value")
    return json.dumps(getattr(item, kind)) if kind in TYPED_VALUES else str(item.json or "null")


def _row(texts: Mapping[str, str]) -> Row:
    """A history row without W&B's own keys; `_step` becomes the step if no `step` was logged."""
    return {STEP: _json(texts.get("_step", "null")), **_decoded(texts)}


def _decoded(texts: Mapping[str, str]) -> dict[str, object]:
    """The values of metrics that are valid JSON; W&B's own keys begin with an underscore."""
    values = {key: _json(text) for key, text in texts.items() if not key.startswith("_")}
    return {key: value for key, value in values.items() if value is not None}


def _json(text: str) -> object:
    """The value, or None if the text is not valid JSON."""
    try:
        value: object = parse_json(text)
    except (ValueError, RecursionError):
        return None
    return value


def _update_config(config: dict[str, object], record: "ConfigRecord") -> None:
    for item in record.update:
        *parents, key = item.nested_key or (item.key,)
        section = config
        for parent in parents:
            inner = section.get(parent)
            if not isinstance(inner, dict):
                inner = section[parent] = {}
            section = inner
        section[key] = _json(item.value_json)
    for item in record.remove:
        config.pop(_key(item), None)
