"""The state of a run, read from its folder and from nothing else.

A run folder holds `.hydra/`, `metrics.jsonl`, `runs/*.trec.gz`, `per_query.parquet`, `checkpoints/`, `wandb/`,
and, written last and atomically, `record.json`: its presence means done. `FAILED.json` tells why a run stopped.
"""

import json
import os
import shutil
import socket
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from optical_sweeps.errors import UserError

RECORD_SCHEMA = 1
State = Literal["missing", "running", "done", "failed", "stopped"]


class RunIsTaken(Exception):
    """Another process is working in the run folder."""


@dataclass(frozen=True)
class RunFolder:
    """One run's folder."""

    path: Path

    @property
    def record_path(self) -> Path:
        return self.path / "record.json"

    @property
    def failure_path(self) -> Path:
        return self.path / "FAILED.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def state(self) -> State:
        """`stopped` is a run that began and neither finished, failed nor works any more: killed, usually."""
        if self.record_path.exists():
            return "done"
        if not (self.path / ".lock").exists():
            return "missing"
        if self._is_locked():
            return "running"
        return "failed" if self.failure_path.exists() else "stopped"

    def record(self) -> dict[str, Any]:
        """The finished run's record.

        Raises:
            UserError: it is not JSON, or of another schema.
        """
        try:
            record: Any = json.loads(self.record_path.read_text())
        except ValueError as error:  # no JSON, or no UTF-8
            raise UserError(
                f"{self.record_path}: not JSON ({error}); delete the file to run the point again"
            ) from error
        schema = record.get("schema") if isinstance(record, dict) else None
        if schema != RECORD_SCHEMA:
            raise UserError(
                f"{self.record_path}: schema {schema!r}, this version reads {RECORD_SCHEMA}; "
                "delete the file to run the point again"
            )
        return dict(record)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Mark the run as done."""
        write_json(self.record_path, {"schema": RECORD_SCHEMA, **record})

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Work in the folder alone; a failure leaves `FAILED.json` with its traceback.

        Raises:
            RunIsTaken: another process works in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=2)  # a look at the state holds it for a moment
        except Timeout:
            raise RunIsTaken(str(self.path)) from None
        try:
            self.failure_path.unlink(missing_ok=True)
            self.metrics_path.unlink(missing_ok=True)
            shutil.rmtree(self.path / "wreck", ignore_errors=True)
            yield
        except Exception as error:  # an interrupted run is stopped, not failed
            write_json(self.failure_path, _failure(error))
            raise
        finally:
            lock.release()

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """One line of `metrics.jsonl`."""
        with self.metrics_path.open("a") as lines:
            lines.write(json.dumps({"step": step, **metrics}) + "\n")

    def _is_locked(self) -> bool:
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _failure(error: BaseException) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        "host": socket.gethostname(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
