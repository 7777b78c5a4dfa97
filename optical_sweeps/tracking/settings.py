"""How runs are logged to W&B."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.login import preferred_mode

Mode = Literal["auto", "online", "offline", "disabled"]


@dataclass(frozen=True)
class WandbSettings:
    """How runs are logged to W&B.

    Args:
        mode: `auto` is online where the user is logged in (and has not switched W&B off), offline otherwise.
        project: W&B project.
        entity: user or team; none is the user's default.
        tags: of every run.
        artifacts: keep rankings and per-query scores as a W&B artifact too.
        system_metrics: sample CPU, GPU and memory use (costs a little of the CPU that training wants).
        metadata: let W&B record host, hardware and command line (`record.json` holds what results need).
        init_timeout: seconds to wait for the server before the run goes offline.
        finish_timeout: seconds to wait for uploads at the end; what is left can be synchronised later.
        flush_interval: seconds after which logged rows are on disk; a killed process loses no more.
        upload_interval: seconds between uploads of logged rows, at least 1; more of them spare a server that
            limits rates.

    Raises:
        UserError: an unknown mode, or a time that is not positive.
    """

    mode: str = "auto"
    project: str = "optical-sweeps"
    entity: str | None = None
    tags: Sequence[str] = ()
    artifacts: bool = False
    system_metrics: bool = False
    metadata: bool = False
    init_timeout: int | float = 30.0
    finish_timeout: int | float = 120.0
    flush_interval: int | float = 5.0
    upload_interval: int | float = 15.0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UserError(f"logger.mode: {self.mode!r} is not one of {', '.join(get_args(Mode))}")
        if not self.project:
            raise UserError("logger.project: empty; name a W&B project")
        for key in ("init_timeout", "finish_timeout", "flush_interval", "upload_interval"):
            if not getattr(self, key) > 0:
                raise UserError(f"logger.{key}: {getattr(self, key)!r} must be greater than 0 (seconds)")
        object.__setattr__(self, "tags", tuple(self.tags))

    def effective_mode(self) -> str:
        """`online`, `offline` or `disabled`; asks no network."""
        return preferred_mode() if self.mode == "auto" else self.mode

    def for_client(self) -> Any:
        """The client's settings; those an older or newer client does not know are left out."""
        import wandb

        wanted = {
            "silent": True,
            "console": "off",  # a sweep's output is one line a run; capturing it costs and may hold secrets
            "symlink": False,  # no `latest-run` link: folders of runs are moved and archived
            "disable_git": True,  # the code version is passed in; W&B's own look logs remote URLs
            "disable_code": True,
            "save_code": False,
            "disable_job_creation": True,
            "x_disable_stats": not self.system_metrics,
            "x_disable_meta": not self.metadata,
            "x_disable_machine_info": not self.metadata,
            "x_save_requirements": False,
            "x_transaction_log_flush_interval": self.flush_interval,
            "x_file_stream_transmit_interval": max(
                1.0, self.upload_interval
            ),  # 0.5 would be 0, and that the default
            "init_timeout": self.init_timeout,
            "finish_timeout": self.finish_timeout,
            "finish_timeout_raises": True,
        }
        known = wandb.Settings.model_fields
        return wandb.Settings(**{key: value for key, value in wanted.items() if key in known})
