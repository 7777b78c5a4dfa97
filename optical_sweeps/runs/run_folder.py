"""The state of a run, read from its folder and from nothing else.

A run folder holds `.hydra/`, `metrics.jsonl`, `runs/*.trec.gz`, `per_query.parquet`, `checkpoints/`, `wandb/`,
and, written last and atomically, `record.json`: its presence means done. `FAILED.json` tells why a run failed.
While a process works in it, it holds `.lock` and keeps `owner.json` fresh: who it is, for other hosts.
"""

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from optical_sweeps.errors import UserError
from optical_sweeps.runs.failure import failure
from optical_sweeps.runs.heartbeat import BEAT, beating, is_fresh

RECORD_SCHEMA = 1
State = Literal["missing", "queued", "running", "done", "failed", "stale"]


class RunIsTaken(Exception):
    """Another process is working in the run folder."""


@dataclass(frozen=True)
class RunFolder:
    """One run's folder.

    Args:
        beat: seconds between signs of life of whoever works in it.
    """

    path: Path
    beat: float = BEAT

    @property
    def record_path(self) -> Path:
        return self.path / "record.json"

    @property
    def failure_path(self) -> Path:
        return self.path / "FAILED.json"

    @property
    def owner_path(self) -> Path:
        return self.path / "owner.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def state(self) -> State:
        """What the folder tells; `queued` is what a scheduler tells.

        `stale` is a run that began and neither finished, failed nor works any more: killed, usually.
        """
        if self.record_path.exists():
            return "done"
        if not (self.path / ".lock").exists():
            return "missing"
        if self._is_locked() or self._works_elsewhere():
            return "running"
        if self.record_path.exists():  # it finished while we looked
            return "done"
        return "failed" if self.failure_path.exists() else "stale"

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

    def failure(self) -> dict[str, Any]:
        """Why the run failed; empty where it did not, or cannot tell."""
        return _read(self.failure_path)

    def owner(self) -> dict[str, Any]:
        """Who works in the folder, or did so until it was killed: host, pid, slurm_job, started."""
        return _read(self.owner_path)

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Work in the folder alone; a failure leaves `FAILED.json` with its cause and traceback.

        Checkpoints and metrics of an attempt that was cut off stay: the run goes on with them.

        Raises:
            RunIsTaken: another process works in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=1, poll_interval=0.02)  # a look at the state holds it for a moment
        except Timeout:
            raise RunIsTaken(str(self.path)) from None
        try:
            if self._works_elsewhere() and not self._falls_silent():
                raise RunIsTaken(str(self.path))
            self.failure_path.unlink(missing_ok=True)
            shutil.rmtree(self.path / "wreck", ignore_errors=True)
            write_json(self.owner_path, _me())
            with beating(self.owner_path, self.beat), self._told():
                yield
        finally:
            lock.release()

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """One line of `metrics.jsonl`."""
        with self.metrics_path.open("a") as lines:
            lines.write(json.dumps({"step": step, **metrics}) + "\n")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # an interrupted run is stale, not failed
            with suppress(OSError):  # of a full disk there is nothing to be told but the error itself
                write_json(self.failure_path, failure(error))
            raise
        finally:
            self.owner_path.unlink(missing_ok=True)

    def _is_locked(self) -> bool:
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def _works_elsewhere(self) -> bool:
        """Whether another host's process lives here: some file systems do not pass locks on to other hosts.

        A job that Slurm requeued is its own predecessor, whatever host that was on.
        """
        owner, me = self.owner(), _me()
        if not owner or owner.get("host") == me["host"] or not is_fresh(self.owner_path, self.beat):
            return False
        return owner.get("slurm_job") is None or owner.get("slurm_job") != me["slurm_job"]

    def _falls_silent(self) -> bool:
        """Having the lock: wait whether the other host's owner gives another sign of life."""
        last = self.owner_path.stat().st_mtime_ns
        until = time.monotonic() + 2.5 * self.beat
        while time.monotonic() < until:
            time.sleep(self.beat / 10)
            try:
                if self.owner_path.stat().st_mtime_ns != last:
                    return False
            except FileNotFoundError:
                return True
        return True


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _me() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
