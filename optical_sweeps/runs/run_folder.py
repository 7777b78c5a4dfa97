"""The folder of a run, and the state that its files tell.

`record.json` is written last and atomically: it exists only if the run is done. `FAILED.json` stores the error
of a failed run. A process that works in the folder holds `.lock` and touches `owner.json`, by which other hosts
see it. Everything else in the folder belongs to the run: `metrics.jsonl`, `checkpoints/`, `wandb/`, results.
"""

import fcntl
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from optical_sweeps.atomic_files import replacing
from optical_sweeps.console import echo
from optical_sweeps.errors import UserError
from optical_sweeps.limits import read_json
from optical_sweeps.runs.failure import failure
from optical_sweeps.runs.heartbeat import BEAT, beating, is_fresh, silence

RECORD_SCHEMA = 1
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
State = Literal["missing", "queued", "running", "done", "failed", "stale"]


class RunIsTaken(Exception):
    """Another process works in the run folder."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Args:
        beat: seconds between two signs of life of the process that works in it.
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
        """The state that the folder shows, which is never `queued`: only a scheduler knows that.

        `stale` is a run that began, neither finished nor failed, and that no process works on: usually it was
        killed or interrupted.
        """
        if self.record_path.exists():
            return "done"
        if not (self.path / ".lock").exists():
            return "missing"
        if self._is_locked() or self._works_elsewhere():
            return "running"
        if self.record_path.exists():  # it finished between the two checks
            return "done"
        return "failed" if self.failure_path.exists() else "stale"

    def record(self) -> dict[str, Any]:
        """The finished run's record.

        Raises:
            UserError: the record is not JSON, or of another version.
        """
        try:
            record = read_json(self.record_path)
        except ValueError as error:  # not JSON, or not UTF-8
            raise UserError(
                f"{self.record_path}: not JSON ({error}); delete the file to run the point again"
            ) from error
        schema = record.get("schema") if isinstance(record, dict) else None
        if schema != RECORD_SCHEMA:
            raise UserError(
                f"{self.record_path}: schema {schema!r}, but this version reads {RECORD_SCHEMA}; "
                "delete the file to run the point again"
            )
        return dict(record)

    def write_record(self, record: Mapping[str, object]) -> None:
        """Mark the run as done."""
        write_json(self.record_path, {"schema": RECORD_SCHEMA, **record})

    def failure(self) -> dict[str, Any]:
        """The content of `FAILED.json`; empty if the run did not fail, or could not write it."""
        return _read(self.failure_path)

    def owner(self) -> dict[str, Any]:
        """The process that works in the folder, or did until it was killed: host, pid, slurm_job, started."""
        return _read(self.owner_path)

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Keep other processes out of the folder; an exception is stored in `FAILED.json` and raised.

        Files of an interrupted attempt stay, so that the run can resume from them.

        Raises:
            RunIsTaken: another process works in the folder.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=1, poll_interval=0.02)  # reading the state locks it for a moment
        except Timeout:
            raise RunIsTaken(str(self.path)) from None
        try:
            if self._is_owned_elsewhere() and not self._is_dead():
                raise RunIsTaken(str(self.path))
            self.failure_path.unlink(missing_ok=True)
            shutil.rmtree(self.path / "wreck", ignore_errors=True)
            write_json(self.owner_path, _me())
            with beating(self.owner_path, self.beat), self._failure_stored():
                yield
        finally:
            lock.release()

    @contextmanager
    def _failure_stored(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # an interrupted run is stale, not failed
            with suppress(OSError):  # the disk may be full
                write_json(self.failure_path, failure(error))
            raise
        finally:
            self.owner_path.unlink(missing_ok=True)

    def _is_locked(self) -> bool:
        """Whether a process of this host works here; the caller may be another user, who can only read."""
        try:
            with (self.path / ".lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # released with the file
        except BlockingIOError:
            return True
        except OSError:  # unreadable, or a file system without locks
            return is_fresh(self.owner_path, self.beat)
        return False

    def _works_elsewhere(self) -> bool:
        """Whether a process of another host seems to work here: some file systems do not share locks."""
        return self._is_owned_elsewhere() and is_fresh(self.owner_path, self.beat)

    def _is_owned_elsewhere(self) -> bool:
        """Whether a process of another host worked here and did not end properly, or still works.

        A job that Slurm requeued continues its own work, whatever host it ran on before.
        """
        owner, me = self.owner(), _me()
        if not owner or owner.get("host") == me["host"]:
            return False
        return owner.get("slurm_job") is None or owner.get("slurm_job") != me["slurm_job"]

    def _is_dead(self) -> bool:
        """Whether the owner on another host gives no further sign of life; the caller holds the lock.

        The owner's clock may be wrong, so this watches whether its beats go on. Runs of a sweep are seen when
        their states are read, so that only the first one waits.
        """
        limit = 2.5 * self.beat
        try:
            quiet = silence(self.owner_path)
            if quiet < limit:
                echo(f"{self.path}: owned by another host; watching {limit - quiet:.0f} s for signs of life")
            while quiet < limit:
                time.sleep(self.beat / 10)
                quiet, before = silence(self.owner_path), quiet
                if quiet < before:
                    return False
        except FileNotFoundError:
            return True
        return True


def check_run_id(run: str) -> None:
    """Refuse a run id that is no plain folder name, such as `../../etc`.

    Raises:
        ValueError: it has other characters than letters, digits, `.`, `-` and `_`, or too many.
    """
    if not _RUN_ID.fullmatch(run):
        raise ValueError(f"the run id {run!r} is not a plain folder name")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a text file atomically; a link at `path` is replaced, not followed.

    Args:
        mode: permissions of the file, less those that the process's umask takes away.
    """
    with replacing(path, mode) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _me() -> dict[str, object]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
