"""One W&B run per run of ours; W&B may be slow, down or broken, training goes on.

Every history row has our own key `step` (optimiser steps), the axis of all metrics. W&B's `_step` is no key:
it is renumbered when fragments of a resumed run are synchronised.
"""

import logging
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.login import is_logged_in, preferred_mode
from optical_sweeps.tracking.tracker import Metrics, NullTracker, Tracker

Mode = Literal["auto", "online", "offline", "disabled"]

STEP = "step"
CODE_VERSION = "code_version"
"""Key of the W&B config that holds the code version, beside the run's own config."""


@dataclass(frozen=True)
class WandbSettings:
    """How runs are logged to W&B.

    Args:
        mode: `auto` is online where the user is logged in (and has not switched W&B off), offline otherwise.
        project: W&B project.
        entity: user or team; none is the user's default.
        tags: of every run.
        system_metrics: sample CPU, GPU and memory use (costs a little of the CPU that training wants).
        metadata: let W&B record host, hardware and command line (`record.json` holds what results need).
        init_timeout: seconds to wait for the server before the run goes offline.
        finish_timeout: seconds to wait for uploads at the end; what is left can be synchronised later.
        flush_interval: seconds after which logged rows are on disk; a killed process loses no more.

    Raises:
        UserError: an unknown mode, or a time that is not positive.
    """

    mode: str = "auto"
    project: str = "optical-sweeps"
    entity: str | None = None
    tags: Sequence[str] = ()
    system_metrics: bool = False
    metadata: bool = False
    init_timeout: int | float = 30.0
    finish_timeout: int | float = 120.0
    flush_interval: int | float = 5.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UserError(f"logger.mode: {self.mode!r} is not one of {', '.join(get_args(Mode))}")
        if not self.project:
            raise UserError("logger.project: empty; name a W&B project")
        for key in ("init_timeout", "finish_timeout", "flush_interval"):
            if not getattr(self, key) > 0:
                raise UserError(f"logger.{key}: {getattr(self, key)!r} must be greater than 0 (seconds)")
        object.__setattr__(self, "tags", tuple(self.tags))

    def effective_mode(self) -> str:
        """`online`, `offline` or `disabled`; asks no network."""
        return preferred_mode() if self.mode == "auto" else self.mode


def tracker_for(settings: WandbSettings, warn: Callable[[str], None] | None = None) -> Tracker:
    """The tracker that the settings ask for; it is not started yet."""
    if settings.effective_mode() == "disabled":
        return NullTracker()
    return WandbRun(settings, warn)


class WandbRun:
    """A `Tracker` that writes to W&B.

    Where the server cannot be reached or refuses the key, the run is kept offline, and one warning says how
    to synchronise it. Where W&B's background process dies, the run goes on in a second offline fragment;
    readers merge fragments by `step`.
    """

    def __init__(self, settings: WandbSettings, warn: Callable[[str], None] | None = None) -> None:
        self.settings = settings
        self.mode = ""
        """What the run became: `online`, `offline`, or `disabled` after a failure."""
        self._warn = warn or logging.getLogger(__name__).warning
        self._identity: dict[str, Any] = {}
        self._run: Any = None

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
            "dir": str(folder),
            "tags": list(dict.fromkeys((*self.settings.tags, *tags))),
        }
        wanted = self.settings.effective_mode()
        if wanted == "disabled":
            self.mode = wanted
            return
        if wanted == "online" and not is_logged_in():
            self._warn("W&B: not logged in, so this run is logged offline (log in with `wandb login`)")
            wanted = "offline"
        if wanted == "online" and (error := self._open("online")):
            self._warn(f"W&B: {error}; this run is logged offline, {self._how_to_sync}")
            _abandon_service()  # it holds on to the id of the run it could not start
            wanted = "offline"
        if wanted == "offline" and (error := self._open("offline")):
            self._warn(f"W&B: {error}; this run is not logged to W&B")

    def log(self, step: int, metrics: Metrics) -> None:
        """See `Tracker.log`."""
        row = {**metrics, STEP: step}
        self._attempt(lambda run: run.log(row))

    def finish(self, summary: Metrics | None = None, files: Sequence[Path] = (), exit_code: int = 0) -> None:
        """See `Tracker.finish`; files are copied into W&B's own folder, so that they travel with the run."""
        for path in files:
            self._attempt(partial(_save, path=path))
        if summary:
            self._attempt(lambda run: run.summary.update(dict(summary)))
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:
            self._warn(f"W&B: {_one_line(error)}; {self._how_to_sync}")

    @property
    def _how_to_sync(self) -> str:
        return f"synchronise it with `wandb sync {self._identity['dir']}/wandb/*run-*`"

    def _attempt(self, action: Callable[[Any], None]) -> None:
        """Do it, if need be in a new offline fragment; where that fails too, stop tracking."""
        if self._run is None:
            return
        try:
            action(self._run)
        except (
            TypeError,
            ValueError,
            FileNotFoundError,
        ) as error:  # ours: a value or file that cannot be kept
            self._warn(f"W&B: {_one_line(error)}; left out of the W&B run")
        except Exception as error:
            self._warn(f"W&B: {_one_line(error)}; this run goes on offline, {self._how_to_sync}")
            _abandon_service()
            if again := self._open("offline"):
                self._warn(f"W&B: {again}; the rest of this run is not logged to W&B")
                return
            try:
                action(self._run)
            except Exception as error:
                self._warn(f"W&B: {_one_line(error)}; the rest of this run is not logged to W&B")
                self._run, self.mode = None, "disabled"

    def _open(self, mode: Literal["online", "offline"]) -> str:
        """Start a fragment; returns why not, or nothing."""
        try:
            import wandb

            settings = _client_settings(self.settings)
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
        except Exception as error:
            self._run, self.mode = None, "disabled"
            return _one_line(error)
        self.mode = mode
        return ""


def _client_settings(settings: WandbSettings) -> Any:
    """The client's settings; those an older or newer client does not know are left out."""
    import wandb

    wanted = {
        "silent": True,
        "console": "off",  # a sweep's output is one line a run; capturing it costs and may hold secrets
        "symlink": False,  # no `latest-run` link: folders of runs are moved and archived
        "disable_git": True,  # the code version is passed in; W&B's own look costs time and logs remote URLs
        "disable_code": True,
        "save_code": False,
        "disable_job_creation": True,
        "x_disable_stats": not settings.system_metrics,
        "x_disable_meta": not settings.metadata,
        "x_disable_machine_info": not settings.metadata,
        "x_save_requirements": False,
        "x_transaction_log_flush_interval": settings.flush_interval,
        "init_timeout": settings.init_timeout,
        "finish_timeout": settings.finish_timeout,
        "finish_timeout_raises": True,
    }
    known = wandb.Settings.model_fields
    return wandb.Settings(**{key: value for key, value in wanted.items() if key in known})


def _save(run: Any, path: Path) -> None:
    folder = Path(run.dir)
    temporary = folder / f".{path.name}.tmp"
    shutil.copyfile(path, temporary)
    temporary.replace(folder / path.name)
    run.save(str(folder / path.name), base_path=str(folder), policy="now")


def _abandon_service() -> None:
    """Forget W&B's background process, so that the next run starts a new one."""
    import wandb

    try:
        wandb.teardown()
    except Exception as error:  # the process it would say goodbye to is gone: that is why we are here
        logging.getLogger(__name__).debug("W&B teardown: %s", _one_line(error))


def _one_line(error: Exception) -> str:
    """The error for people: its first line, without anything that could be a key."""
    text = next(iter(str(error).splitlines()), "")
    text = re.sub(r"[A-Za-z0-9_-]{32,}", "***", text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
