"""A tracker that logs each run to one W&B run; training continues if W&B is slow, down or broken.

Every history row has our own key `step` (optimiser steps), which is the axis of all metrics. W&B's `_step`
cannot be used: it is renumbered when the fragments of a resumed run are synchronised.
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
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from optical_sweeps.atomic_files import replacing
from optical_sweeps.interruption import EXIT_CODE
from optical_sweeps.tracking.client_environment import escape_client_log, remove_other_runs
from optical_sweeps.tracking.fragments import Fragment, read_fragment
from optical_sweeps.tracking.login import is_logged_in, one_line
from optical_sweeps.tracking.offline import log_files
from optical_sweeps.tracking.offline_log import NotAWandbLog
from optical_sweeps.tracking.run_log import CODE_VERSION, STEP, step_of
from optical_sweeps.tracking.tracker import Metrics, NullTracker, Tracker
from optical_sweeps.tracking.unsent_rows import (
    HasValue,
    Step,
    StepRows,
    has_nothing,
    server_has,
    unsent_metrics,
)
from optical_sweeps.tracking.upload_log import upload_problem
from optical_sweeps.tracking.wandb_settings import LONGEST_NAME, LONGEST_TAG, WandbSettings, shortened

if TYPE_CHECKING:
    import wandb

ARTIFACT_TYPE = "retrieval-run"

SERVICE = "WANDB_SERVICE"
"""Variable in which W&B's client passes its service on to child processes: `3-<process>-<address>`."""

UNSENT = "unsent"
"""Marker file in the folder of an online fragment whose end did not reach the server; `sweep sync` looks for
it."""


class RunOptions(TypedDict):
    """Options of `wandb.init` that every fragment of a run shares."""

    id: str
    group: str
    job_type: str
    name: str
    config: dict[str, Any]
    dir: str
    tags: list[str]


Action = Callable[["wandb.Run"], object]


def tracker_for(settings: WandbSettings, warn: Callable[[str], None] | None = None) -> Tracker:
    """The tracker for these settings, not started yet."""
    if settings.effective_mode() == "disabled":
        return NullTracker()
    return WandbRun(settings, warn)


class WandbRun:
    """A `Tracker` that writes to W&B.

    If the server cannot be reached or refuses the key, also in the middle of the run, the run is kept offline
    and one warning says how to synchronise it. If W&B's background process dies, the run continues in a second,
    offline fragment; readers merge fragments by `step`.

    A resumed run logs only what W&B does not have yet; see `unsent_rows`.
    """

    def __init__(self, settings: WandbSettings, warn: Callable[[str], None] | None = None) -> None:
        self.settings = settings
        self.mode = ""
        """The current mode: `online`, `offline`, or `disabled` after a failure."""
        self._warn = warn or logging.getLogger(__name__).warning
        self._id = ""
        self._folder = Path()
        self._options: RunOptions
        self._run: wandb.Run | None = None
        self._rows = StepRows()
        self._has: HasValue = has_nothing
        self._caught_up = False
        self._is_second = False
        """Whether this fragment replaces one whose background process died."""

    def start(
        self,
        *,
        run_id: str,
        group: str,
        job_type: str,
        name: str,
        config: Mapping[str, object],
        folder: Path,
        tags: Sequence[str] = (),
        code_version: Mapping[str, object] | None = None,
    ) -> None:
        """See `Tracker.start`; W&B's own files are written to `<folder>/wandb`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._id = run_id
        self._folder = folder.absolute()  # W&B's service has a different working folder
        self._options = {
            "id": run_id,
            "group": group,
            "job_type": job_type,
            "name": shortened(name, LONGEST_NAME),
            "config": {**config, CODE_VERSION: dict(code_version)} if code_version else dict(config),
            "dir": str(self._folder),
            "tags": list(
                dict.fromkeys((*self.settings.tags, *(shortened(tag, LONGEST_TAG) for tag in tags if tag)))
            ),
        }
        mode = self.settings.effective_mode()
        if mode == "disabled":
            self.mode = mode
            return
        _leave_other_services()
        if ignored := remove_other_runs():
            self._warn(
                f"W&B: ignoring {', '.join(ignored)} of the environment: every run is logged under its own id, "
                f"here {run_id}"
            )
        self._rows = self._rows_on_disk()
        if mode == "online" and not is_logged_in():
            self._warn("W&B: not logged in, so this run is logged offline (log in with `wandb login`)")
            mode = "offline"
        refused = self._open("online") if mode == "online" else ""
        if refused:
            _abandon_service()  # it still holds the id of the run that it could not start
        if (refused or mode == "offline") and (error := self._open("offline")):
            self._warn(f"W&B: {error}; this run is not logged to W&B")
            return
        killed = self._killed_online() if self.mode == "offline" else []
        _mark_unsent(killed)
        if refused:
            self._warn(f"W&B: {refused}; this run is logged offline, {self._how_to_sync(killed)}")

    def log(self, step: int, metrics: Metrics) -> None:
        """See `Tracker.log`."""
        self._catch_up(below=step)
        unsent = unsent_metrics(self._has, step, metrics)
        self._rows.add(step, metrics)
        if unsent:
            self._attempt(partial(_log, step=step, metrics=unsent))

    def finish(
        self,
        summary: Metrics | None = None,
        files: Sequence[Path] = (),
        exit_code: int = 0,
        artifact: Sequence[Path] = (),
    ) -> None:
        """See `Tracker.finish`; files are copied into W&B's own folder, so that they are moved with the run."""
        self._catch_up()
        for path in files:
            self._insist(partial(_save, path=path))
        if artifact and self.settings.artifacts:
            self._insist(partial(_log_artifact, paths=artifact))
        if summary:
            self._insist(partial(_update_summary, summary=summary))
        run, self._run = self._run, None
        if run is None:
            return
        fragment = _folder_of(run)
        try:
            run.finish(exit_code=exit_code)
            problem = upload_problem(fragment) if self.mode == "online" else ""
        except Exception as error:
            problem = one_line(error)
            _abandon_service()  # it would retry, and delay the end of the process
        if problem:
            was_online, self.mode = self.mode == "online", "offline"
            advice = self._how_to_sync([fragment] if was_online else [])
            if not was_online:
                advice = "the end of this run's offline log may be missing"
            if exit_code != EXIT_CODE:  # an interrupted run is resumed, and must not be uploaded before
                self._warn(f"W&B: {problem}; {advice}")
        elif self.mode == "online":
            self._mark_synced(fragment)

    def _mark_synced(self, last: Path) -> None:
        """Mark the logs of earlier starts as synchronised: this start sent their rows.

        If they were synchronised later, they would end the run as failed, without its measures.
        """
        for log in log_files(self._folder / "wandb"):
            if log.name == f"run-{self._id}.wandb" and log.parent.name != last.name:
                with suppress(OSError):
                    log.with_name(f"{log.name}.synced").touch()

    def _how_to_sync(self, cut_off: Sequence[Path] = ()) -> str:
        """The command that uploads what is only on disk; marks the folders that need it.

        Args:
            cut_off: online fragments that ended without the server; the client skips them unless asked.
        """
        _mark_unsent(cut_off)
        offline = (self._folder / "wandb").glob("offline-*run-*")
        unsynced = {path for path in offline if not list(path.glob("*.synced"))}
        folders = " ".join(shlex.quote(str(path)) for path in sorted({*unsynced, *cut_off}))
        return f"synchronise it with `wandb sync {'--include-online ' if cut_off else ''}{folders}`"

    def _killed_online(self) -> list[Path]:
        """Folders of earlier starts that began online and never ended: which rows arrived is unknown."""
        return [
            log.parent
            for log, fragment in self._earlier_fragments()
            if not log.parent.name.startswith("offline-") and fragment.exit_code is None and fragment.history
        ]

    def _rows_on_disk(self) -> StepRows:
        """The rows in the logs of earlier starts."""
        rows = StepRows()
        for _, fragment in self._earlier_fragments():
            for row in fragment.history if fragment.run_id == self._id else ():
                step = step_of(row)
                if step is not None:
                    rows.add(step, {key: value for key, value in row.items() if key != STEP})
        return rows

    def _earlier_fragments(self) -> list[tuple[Path, Fragment]]:
        """Log files of earlier starts and their content; files that cannot be read are skipped."""
        fragments: list[tuple[Path, Fragment]] = []
        for log in log_files(self._folder / "wandb"):
            with suppress(NotAWandbLog, OSError):
                fragments.append((log, read_fragment(log)))
        return fragments

    def _catch_up(self, below: Step = math.inf) -> None:
        """Log the rows that earlier starts of this run only left on disk."""
        if self._caught_up or self._run is None:
            return
        self._caught_up = True
        self._log_unsent(below)

    def _log_unsent(self, below: Step = math.inf) -> None:
        for step, metrics in list(self._rows.unsent(self._has, below)):
            self._attempt(partial(_log, step=step, metrics=metrics))

    def _attempt(self, action: Action) -> bool:
        """Run an action; False if the background process is dead, and the run continues in a new fragment."""
        if self._run is None:
            return True
        try:
            action(self._run)
        except (TypeError, ValueError, FileNotFoundError) as error:  # our error: the value cannot be stored
            self._warn(f"W&B: {one_line(error)}; left out of the W&B run")
        except Exception as error:
            self._continue_offline(one_line(error))
            return False
        return True

    def _insist(self, action: Action) -> None:
        """Run an action, if necessary in a new fragment."""
        if not self._attempt(action):
            self._attempt(action)

    def _continue_offline(self, reason: str) -> None:
        """Open an offline fragment and log all rows that the dead process had not written."""
        if self._is_second:
            self._warn(f"W&B: {reason}; the rest of this run is not logged to W&B")
            self._run, self.mode = None, "disabled"
            return
        cut_off = [_folder_of(self._run)] if self._run and self.mode == "online" else []
        self._is_second = True
        _abandon_service()
        if error := self._open("offline"):
            self._warn(f"W&B: {reason}; {error}; the rest of this run is not logged to W&B")
            return
        advice = f"offline, {self._how_to_sync(cut_off)}" if cut_off else "offline, in a new log"
        self._warn(f"W&B: {reason}; this run continues {advice}")
        self._log_unsent()

    def _open(self, mode: Literal["online", "offline"]) -> str:
        """Start a fragment; returns why that failed, or an empty string."""
        try:
            import wandb

            escape_client_log()
            settings = self.settings.for_client()
            # before init, since the process-wide part of the client prints where credentials came from
            wandb.setup(settings=settings)
            run = wandb.init(
                **self._options,
                mode=mode,
                project=self.settings.project,
                entity=self.settings.entity,
                resume="allow",  # without it, a second start of the same id overwrites the server's history
                reinit="create_new",  # no process-wide run, so that two runs do not affect each other
                settings=settings,
            )
            if (run.id, run.project) != (self._id, self.settings.project):
                run.finish(exit_code=1)
                raise RuntimeError(  # readers would not find it
                    f"the client opened {run.project}/{run.id} in place of {self.settings.project}/{self._id}; "
                    "check W&B's settings files and the WANDB_* variables"
                )
            run.define_metric(STEP)
            run.define_metric("*", step_metric=STEP)
            self._run = run
            self._has = _known_to_server(run) if mode == "online" else self._rows_on_disk().has
        except Exception as error:
            self._run, self.mode = None, "disabled"
            return one_line(error)
        self.mode = mode
        return ""


def _known_to_server(run: "wandb.Run") -> HasValue:
    values = dict(run.summary) if run.resumed else {}
    last_step = step_of(values)
    return has_nothing if last_step is None else server_has(last_step, values)


def _mark_unsent(folders: Sequence[Path]) -> None:
    """Mark fragments of which not everything reached the server."""
    for folder in folders:
        with suppress(OSError):
            (folder / UNSENT).touch()


def _folder_of(run: "wandb.Run") -> Path:
    """The folder of a fragment; the client calls its subfolder `files` the run's."""
    return Path(run.dir).parent


def _log(run: "wandb.Run", step: Step, metrics: Metrics) -> None:
    run.log({**metrics, STEP: step})


def _update_summary(run: "wandb.Run", summary: Metrics) -> None:
    run.summary.update(dict(summary))


def _save(run: "wandb.Run", path: Path) -> None:
    folder = Path(run.dir)
    with replacing(folder / path.name) as temporary:
        shutil.copyfile(path, temporary)
    run.save(str(folder / path.name), base_path=str(folder), policy="now")


def _log_artifact(run: "wandb.Run", paths: Sequence[Path]) -> None:
    """Log the files as one artifact named after the run; it refers to the files and does not copy them."""
    import wandb

    artifact = wandb.Artifact(f"{ARTIFACT_TYPE}-{run.id}", type=ARTIFACT_TYPE)
    for path in paths:
        artifact.add_file(str(path), name=path.name, policy="immutable")
    run.log_artifact(artifact)


def _leave_other_services() -> None:
    """Start W&B's service for this process: one inherited from a parent process ends with the parent."""
    if f"-{os.getpid()}-" not in os.environ.get(SERVICE, ""):
        os.environ.pop(SERVICE, None)


def _abandon_service() -> None:
    """Forget W&B's background process, so that the next run starts a new one."""
    import wandb

    try:
        wandb.teardown()
    except Exception as error:  # expected: the process to shut down is already dead
        logging.getLogger(__name__).debug("W&B teardown: %s", one_line(error))
