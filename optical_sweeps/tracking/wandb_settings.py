"""How runs are logged to W&B."""

from typing import TYPE_CHECKING, Literal

from optical_sweeps.checks import PositiveFloat, Strings
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings
from optical_sweeps.tracking.login import preferred_mode

if TYPE_CHECKING:
    import wandb


@settings("logger")
class WandbSettings:
    """How runs are logged to W&B.

    Args:
        mode: `auto` is online if the user is logged in (and has not disabled W&B), and offline otherwise.
        project: W&B project.
        entity: user or team; None is the user's default.
        tags: tags of every run.
        artifacts: also store rankings and per-query scores as a W&B artifact.
        system_metrics: sample CPU, GPU and memory use, which takes a little CPU time from training.
        metadata: let W&B record host, hardware and command line; `record.json` contains what results need.
        init_timeout: seconds to wait for the server before the run goes offline.
        finish_timeout: seconds to wait for uploads at the end; the rest can be synchronised later.
        flush_interval: seconds after which logged rows are on disk; a killed process loses no older ones.
        upload_interval: seconds between uploads of logged rows, at least 1; longer intervals avoid rate limits.
    """

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str = "optical-sweeps"
    entity: str | None = None
    tags: Strings = ()
    artifacts: bool = False
    system_metrics: bool = False
    metadata: bool = False
    init_timeout: PositiveFloat = 30.0
    finish_timeout: PositiveFloat = 120.0
    flush_interval: PositiveFloat = 5.0
    upload_interval: PositiveFloat = 15.0

    def __post_init__(self) -> None:
        if not self.project:
            raise UserError(f"{key_of('project')}: empty; name a W&B project")

    def effective_mode(self) -> str:
        """`online`, `offline` or `disabled`; does not contact the server."""
        return preferred_mode() if self.mode == "auto" else self.mode

    def for_client(self) -> "wandb.Settings":
        """The settings for W&B's client, without those that the installed version does not know."""
        import wandb

        options = {
            "silent": True,
            "console": "off",  # a sweep prints one line per run; capturing it is slow and may store secrets
            "symlink": False,  # no `latest-run` link, since run folders are moved and archived
            "disable_git": True,  # the code version is passed in; W&B would also log remote URLs
            "disable_code": True,
            "save_code": False,
            "disable_job_creation": True,
            "x_disable_stats": not self.system_metrics,
            "x_disable_meta": not self.metadata,
            "x_disable_machine_info": not self.metadata,
            "x_save_requirements": False,
            "x_transaction_log_flush_interval": self.flush_interval,
            # the client rounds down, and takes 0 for its default
            "x_file_stream_transmit_interval": max(1.0, self.upload_interval),
            "init_timeout": self.init_timeout,
            "finish_timeout": self.finish_timeout,
            "finish_timeout_raises": True,
        }
        known = wandb.Settings.model_fields
        return wandb.Settings(**{key: value for key, value in options.items() if key in known})
