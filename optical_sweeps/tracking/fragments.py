"""A fragment: what one process wrote of a run into one W&B log; and runs put together from fragments."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from optical_sweeps.tracking.cache import to_json
from optical_sweeps.tracking.offline_log import OfflineLog
from optical_sweeps.tracking.run_log import (
    CODE_VERSION,
    STEP,
    LogDamage,
    RunLog,
    in_order_of_steps,
    is_step,
    same_config,
    same_summary,
)

NOT_JSON = (ValueError, RecursionError)

CLIENT_FILES = frozenset(
    {"config.yaml", "output.log", "requirements.txt", "wandb-metadata.json", "wandb-summary.json"}
)
"""What the client itself puts beside a run's files."""

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_SCALAR = rf'(?:{NUMBER.pattern}|NaN|-?Infinity|true|false|null|"[^"\\\x00-\x1f]*")'
SCALARS = re.compile(rf"{_SCALAR}(?:\n{_SCALAR})*")
"""JSON scalars, one a line; strings without escapes."""

NEEDLESS = re.compile(
    rb"\x08[\x80-\xff]*[\x00-\x7f]\x1a"  # number, summary
    rb"(?:.*?\x12\x05_step\x82\x01"  # that repeats a history row: it has its `_step`
    rb"|.\n.\x12\x06_wandb\x12\x07runtime\x82\x01.[0-9.]+\n.\n\x08_runtime\x82\x01.[0-9.]+\Z)",
    re.DOTALL,
)
"""Summary records that say nothing new, or only of the client itself.

It writes one of each kind before each row; passing over them halves the time of reading a log.
"""


@dataclass
class Fragment:
    """What one process wrote of a run.

    Args:
        started: seconds since 1970.
        config: nested, as logged.
        summary: the last value of every metric, logged or set.
        history: rows in the order they were logged, as one JSON text: it is kept, sent and read as such.
        opened: the record that names the run and its config was found.
        exit_code: none where the log ends without one.
    """

    run_id: str
    started: float = 0.0
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: str = "[]"
    group: str = ""
    tags: tuple[str, ...] = ()
    opened: bool = False
    exit_code: int | None = None
    damage: LogDamage = field(default_factory=LogDamage)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history, decoded."""
        rows: list[dict[str, Any]] = json.loads(self.history)
        return rows

    def head(self) -> dict[str, Any]:
        """All but the history, as JSON takes it."""
        head = {name: value for name, value in vars(self).items() if name != "history"}
        return {**head, "tags": list(self.tags), "damage": self.damage.as_dict()}

    @classmethod
    def from_head(cls, head: dict[str, Any], history: str) -> "Fragment":
        """The inverse of `head`."""
        damage = LogDamage(**head["damage"])
        return cls(**{**head, "tags": tuple(head["tags"]), "damage": damage}, history=history)


def read_fragment(path: Path, *, history: bool = True) -> Fragment:
    """Everything that can be read of one log file.

    Raises:
        NotAWandbLog: it is another kind of file.
        OSError: it cannot be read.
    """
    fragment = Fragment(run_id=path.stem.removeprefix("run-"))
    last: dict[str, str] = {}  # values as JSON: most are overwritten unread
    rows: list[str] = []
    log = OfflineLog(path, needless=NEEDLESS.match)
    for record in log:
        kind = record.WhichOneof("record_type")
        if kind == "history":
            _take_row(rows if history else None, last, record.history.item)
        elif kind == "summary":
            _update_summary(last, record.summary)
        elif kind == "config":
            _update_config(fragment.config, record.config)
        elif kind == "run":
            _start(fragment, record.run)
        elif kind == "exit":
            fragment.exit_code = record.exit.exit_code
    fragment.summary = {key: _json(text) for key, text in last.items()}
    fragment.history = f"[{','.join(rows)}]"
    fragment.damage = log.damage
    return fragment


def run_of_fragments(fragments: Sequence[tuple[Path, Fragment]]) -> RunLog:
    """One run of its fragments, in order of their start; later values replace earlier ones."""
    ordered = sorted(fragments, key=lambda pair: (pair[1].started, str(pair[0])))
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    files: dict[str, Path] = {}
    for path, fragment in ordered:
        config |= fragment.config
        summary |= fragment.summary
        files |= _files(path.parent / "files")
    own = [fragment for _, fragment in ordered]
    config.pop("_wandb", None)
    code_version = config.pop(CODE_VERSION, {})
    damage = sum((fragment.damage for fragment in own), LogDamage())
    summary.pop(STEP, None)
    return RunLog(
        id=own[0].run_id,
        config=same_config(config),
        summary=same_summary(summary),
        history=in_order_of_steps(row for fragment in own for row in fragment.rows),
        files=files,
        group=next((fragment.group for fragment in reversed(own) if fragment.group), ""),
        tags=next((fragment.tags for fragment in reversed(own) if fragment.tags), ()),
        complete=own[-1].exit_code == 0 and not damage.places and any(fragment.opened for fragment in own),
        code_version=code_version,
        damage=damage,
    )


def _files(folder: Path) -> dict[str, Path]:
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {name: path for path in paths if (name := path.relative_to(folder).as_posix()) not in CLIENT_FILES}


def _start(fragment: Fragment, run: Any) -> None:
    fragment.opened = True
    fragment.run_id = run.run_id or fragment.run_id
    fragment.started = run.start_time.seconds + run.start_time.nanos * 1e-9
    fragment.group = run.run_group
    fragment.tags = tuple(run.tags)
    _update_config(fragment.config, run.config)


def _take_row(rows: list[str] | None, last: dict[str, str], items: Iterable[Any]) -> None:
    """A history row without W&B's own keys, save `_step`, which stands in where `step` was not logged."""
    keys: list[str] = []
    texts: list[str] = []
    own_step = "null"
    for item in items:
        nested = item.nested_key
        key = nested[0] if len(nested) == 1 else ".".join(nested) or item.key
        text = item.value_json or _typed_value(item)
        if key[:1] != "_":
            keys.append(key)
            texts.append(text)
        elif key == "_step":
            own_step = text
    last.update(zip(keys, texts, strict=True))
    if rows is None:
        return
    if STEP not in keys:
        keys.append(STEP)
        texts.append(own_step)
    if row := _row(keys, texts):
        rows.append(row)


def _row(keys: list[str], texts: list[str]) -> str:
    """The row as JSON; empty where it has no step.

    Values come as JSON. Scalars, which is what metrics are, are put together undecoded: half the time.
    """
    if SCALARS.fullmatch("\n".join(texts)):
        if not NUMBER.fullmatch(texts[keys.index(STEP)]):
            return ""
        return "{" + ",".join([f"{_quoted(key)}:{text}" for key, text in zip(keys, texts, strict=True)]) + "}"
    values = {key: value for key, value in zip(keys, map(_json, texts), strict=True) if value is not None}
    return to_json(values) if is_step(values.get(STEP)) else ""


@lru_cache(maxsize=10_000)
def _quoted(key: str) -> str:
    return json.dumps(key)


def _typed_value(item: Any) -> str:
    """Newer clients can write values by type in place of JSON."""
    for name in ("boolean", "integer", "number", "text"):
        if name in item.DESCRIPTOR.fields_by_name and item.HasField(name):
            return json.dumps(getattr(item, name))
    if "json" in item.DESCRIPTOR.fields_by_name and item.HasField("json"):
        return str(item.json)
    return "null"


def _json(text: str) -> Any:
    """The value, or none where the text is not JSON."""
    try:
        return json.loads(text)
    except NOT_JSON:
        return None


def _key(item: Any) -> str:
    nested = item.nested_key
    return nested[0] if len(nested) == 1 else ".".join(nested) or item.key


def _update_summary(last: dict[str, str], record: Any) -> None:
    for item in record.update:
        key = _key(item)
        if key[:1] != "_":
            last[key] = item.value_json
    for item in record.remove:
        last.pop(_key(item), None)


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
