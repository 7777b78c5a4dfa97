"""One W&B run per run of ours; W&B may be slow, down or broken, training goes on.

Every history row has our own key `step` (optimiser steps), the axis of all metrics. W&B's `_step` is no key:
it is renumbered when fragments of a resumed run are synchronised.
"""

import logging
import math
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from optical_sweeps.tracking.fragments import read_fragment
from optical_sweeps.tracking.login import is_logged_in, one_line
from optical_sweeps.tracking.offline import log_files
from optical_sweeps.tracking.offline_log import NotAWandbLog
from optical_sweeps.tracking.rows import Has, Rows, Step, new_part, nothing, on_server
from optical_sweeps.tracking.run_log import CODE_VERSION, STEP
from optical_sweeps.tracking.settings import WandbSettings
from optical_sweeps.tracking.tracker import Metrics, NullTracker, Tracker
from optical_sweeps.tracking.upload_log import upload_problem

ARTIFACT_TYPE = "retrieval-run"

SERVICE = "WANDB_SERVICE"
"""Where W&B's client leaves word of its service for processes that it starts: `3-<process>-<address>`."""

UNSENT = "unsent"
"""File in the folder of an online fragment whose end never reached the server; `sweep sync` looks for it."""


def tracker_for(settings: WandbSettings, warn: Callable[[str], None] | None = None) -> Tracker:
    """The tracker that the settings ask for; it is not started yet."""
    if settings.effective_mode() == "disabled":
        return NullTracker()
    return WandbRun(settings, warn)


class WandbRun:
    """A `Tracker` that writes to W&B.

    Where the server cannot be reached or refuses the key, be it in the middle of the run, the run is kept
    offline, and one warning says how to synchronise it. Where W&B's background process dies, the run goes on in
    a second offline fragment; readers merge fragments by `step`.

    A run that goes on logs what W&B does not have yet, and nothing twice; see `rows`.
    """

    def __init__(self, settings: WandbSettings, warn: Callable[[str], None] | None = None) -> None:
        self.settings = settings
        self.mode = ""
        """What the run became: `online`, `offline`, or `disabled` after a failure."""
        self._warn = warn or logging.getLogger(__name__).warning
        self._identity: dict[str, Any] = {}
        self._run: Any = None
        self._rows = Rows()
        self._has: Has = nothing
        self._caught_up = False
        self._is_second = False
        """In the fragment that stands in for one whose background process died."""

    def start(
        self,
        *,
        run_id: str,
        group: str,
        job_type: str,
        name: str,
        config: Mapping[str, Any],
        folder: Path,
        tags: Sequence[str] = (),
        code_version: Mapping[str, Any] | None = None,
    ) -> None:
        """See `Tracker.start`; W&B's own files go to `<folder>/wandb`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._identity = {
            "id": run_id,
            "group": group,
            "job_type": job_type,
            "name": name,
            "config": {**config, CODE_VERSION: dict(code_version)} if code_version else dict(config),
            "dir": str(folder.absolute()),  # the service has a working folder of its own
            "tags": list(dict.fromkeys((*self.settings.tags, *tags))),
        }
        wanted = self.settings.effective_mode()
        if wanted == "disabled":
            self.mode = wanted
            return
        _leave_other_services()
        self._rows = self._on_disk()
        if wanted == "online" and not is_logged_in():
            self._warn("W&B: not logged in, so this run is logged offline (log in with `wandb login`)")
            wanted = "offline"
        refused = self._open("online") if wanted == "online" else ""
        if refused:
            _abandon_service()  # it holds on to the id of the run it could not start
        if (refused or wanted == "offline") and (error := self._open("offline")):
            self._warn(f"W&B: {error}; this run is not logged to W&B")
            return
        killed = self._killed_online() if self.mode == "offline" else []
        _mark(killed)
        if refused:
            self._warn(f"W&B: {refused}; this run is logged offline, {self._how_to_sync(killed)}")

    def log(self, step: int, metrics: Metrics) -> None:
        """See `Tracker.log`."""
        self._catch_up(below=step)
        part = new_part(self._has, step, metrics)
        self._rows.add(step, metrics)
        if part:
            self._attempt(partial(_log, step=step, metrics=part))

    def finish(
        self,
        summary: Metrics | None = None,
        files: Sequence[Path] = (),
        exit_code: int = 0,
        artifact: Sequence[Path] = (),
    ) -> None:
        """See `Tracker.finish`; files are copied into W&B's own folder, so that they travel with the run."""
        self._catch_up()
        for path in files:
            self._insist(partial(_save, path=path))
        if artifact and self.settings.artifacts:
            self._insist(partial(_log_artifact, paths=artifact))
        if summary:
            self._insist(lambda run: run.summary.update(dict(summary)))
        run, self._run = self._run, None
        if run is None:
            return
        fragment = _folder_of(run)
        try:
            run.finish(exit_code=exit_code)
            problem = upload_problem(fragment) if self.mode == "online" else ""
        except Exception as error:
            problem = one_line(error)
            _abandon_service()  # it would go on trying, and hold up the end of the process
        if problem:
            cut, self.mode = self.mode == "online", "offline"
            self._warn(f"W&B: {problem}; {self._how_to_sync([fragment] if cut else [])}")
        elif self.mode == "online":
            self._mark_as_sent(fragment)

    def _mark_as_sent(self, last: Path) -> None:
        """Earlier starts' logs wait no more: this one sent their rows, and they would undo its end."""
        for log in log_files(Path(self._identity["dir"], "wandb")):
            if log.name == f"run-{self._identity['id']}.wandb" and log.parent.name != last.name:
                with suppress(OSError):
                    log.with_name(f"{log.name}.synced").touch()

    def _how_to_sync(self, cut: Sequence[Path] = ()) -> str:
        """The command that brings to the server what is on disk alone; folders that need it are marked.

        Args:
            cut: online fragments that ended without the server; the client passes those over unless told.
        """
        _mark(cut)
        waiting = [path for path in _fragments(self._identity["dir"]) if path.name.startswith("offline-")]
        waiting = [path for path in waiting if not list(path.glob("*.synced"))]
        folders = " ".join(shlex.quote(str(path)) for path in sorted({*waiting, *cut}))
        return f"synchronise it with `wandb sync {'--include-online ' if cut else ''}{folders}`"

    def _killed_online(self) -> list[Path]:
        """Earlier attempts that began online and never ended: nobody knows which of their rows arrived."""
        logs = log_files(Path(self._identity["dir"], "wandb"))
        online = [path for path in logs if not path.parent.name.startswith("offline-")]
        return [path.parent for path in online if _never_ended(path)]

    def _catch_up(self, below: Step = math.inf) -> None:
        """Log what earlier starts of this run left on disk alone."""
        if self._caught_up or self._run is None:
            return
        self._caught_up = True
        for step, part in list(self._rows.missing(self._has, below)):
            self._attempt(partial(_log, step=step, metrics=part))

    def _attempt(self, action: Callable[[Any], None]) -> bool:
        """Do it; False where the background process is gone: the run then goes on in a new offline fragment."""
        if self._run is None:
            return True
        try:
            action(self._run)
        except (TypeError, ValueError, FileNotFoundError) as error:  # ours: what cannot be kept
            self._warn(f"W&B: {one_line(error)}; left out of the W&B run")
        except Exception as error:
            return self._go_on_offline(one_line(error))
        return True

    def _insist(self, action: Callable[[Any], None]) -> None:
        """Do it, if need be in a new fragment."""
        if not self._attempt(action):
            self._attempt(action)

    def _go_on_offline(self, reason: str) -> bool:
        """A new fragment, with all rows that the dead process had not written yet; always False."""
        if self._is_second:
            self._warn(f"W&B: {reason}; the rest of this run is not logged to W&B")
            self._run, self.mode = None, "disabled"
            return False
        cut = [_folder_of(self._run)] if self.mode == "online" else []
        self._is_second = True
        _abandon_service()
        if again := self._open("offline"):
            self._warn(f"W&B: {reason}; {again}; the rest of this run is not logged to W&B")
            return False
        self._warn(f"W&B: {reason}; this run goes on offline, {self._how_to_sync(cut)}")
        for step, part in list(self._rows.missing(self._has)):
            self._attempt(partial(_log, step=step, metrics=part))
        return False

    def _open(self, mode: Literal["online", "offline"]) -> str:
        """Start a fragment; returns why not, or nothing."""
        try:
            import wandb

            settings = self.settings.for_client()
            # before init: what the process-wide part of the client prints (where credentials came from)
            wandb.setup(settings=settings)
            self._run = wandb.init(
                **self._identity,
                mode=mode,
                project=self.settings.project,
                entity=self.settings.entity,
                resume="allow",  # unset, a second start of the same id rewrites what the server has
                reinit="create_new",  # no process-wide run: two runs never see each other
                settings=settings,
            )
            self._run.define_metric(STEP)
            self._run.define_metric("*", step_metric=STEP)
            self._has = _on_server(self._run) if mode == "online" else self._on_disk().holds
        except Exception as error:
            self._run, self.mode = None, "disabled"
            return one_line(error)
        self.mode = mode
        return ""

    def _on_disk(self) -> Rows:
        return _rows_on_disk(Path(self._identity["dir"], "wandb"), self._identity["id"])


def _on_server(run: Any) -> Has:
    values = dict(run.summary) if run.resumed else {}
    return on_server(values[STEP], values) if STEP in values else nothing


def _fragments(folder: str) -> list[Path]:
    return sorted(Path(folder, "wandb").glob("*run-*"))


def _mark(folders: Sequence[Path]) -> None:
    """Say that not all of them reached the server."""
    for folder in folders:
        with suppress(OSError):
            (folder / UNSENT).touch()


def _never_ended(log: Path) -> bool:
    """It holds rows, and no end; one that could not begin holds none."""
    try:
        fragment = read_fragment(log)
    except (NotAWandbLog, OSError):
        return False
    return fragment.exit_code is None and bool(fragment.rows)


def _folder_of(run: Any) -> Path:
    """A fragment's folder; its `files` is what the client calls the run's."""
    return Path(run.dir).parent


def _rows_on_disk(folder: Path, run_id: str) -> Rows:
    """The rows in the logs of earlier starts."""
    rows = Rows()
    for path in log_files(folder):
        try:
            fragment = read_fragment(path)
        except (NotAWandbLog, OSError):
            continue
        if fragment.run_id == run_id:
            for row in fragment.rows:
                rows.add(row[STEP], {key: value for key, value in row.items() if key != STEP})
    return rows


def _log(run: Any, step: Step, metrics: Mapping[str, Any]) -> None:
    run.log({**metrics, STEP: step})


def _save(run: Any, path: Path) -> None:
    folder = Path(run.dir)
    temporary = folder / f".{path.name}.tmp"
    shutil.copyfile(path, temporary)
    temporary.replace(folder / path.name)
    run.save(str(folder / path.name), base_path=str(folder), policy="now")


def _log_artifact(run: Any, paths: Sequence[Path]) -> None:
    """The files as one artifact, named by the run; they are referred to where they lie, not copied."""
    import wandb

    artifact = wandb.Artifact(f"{ARTIFACT_TYPE}-{run.id}", type=ARTIFACT_TYPE)
    for path in paths:
        artifact.add_file(str(path), name=path.name, policy="immutable")
    run.log_artifact(artifact)


def _leave_other_services() -> None:
    """Start W&B's service for this process: one that a parent passed on ends with the parent."""
    if f"-{os.getpid()}-" not in os.environ.get(SERVICE, ""):
        os.environ.pop(SERVICE, None)


def _abandon_service() -> None:
    """Forget W&B's background process, so that the next run starts a new one."""
    import wandb

    try:
        wandb.teardown()
    except Exception as error:  # the process it would say goodbye to is gone: that is why we are here
        logging.getLogger(__name__).debug("W&B teardown: %s", one_line(error))
