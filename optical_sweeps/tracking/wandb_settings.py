"""How runs are logged to W&B."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator

from optical_sweeps.checks import PositiveFloat, Strings
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings
from optical_sweeps.tracking.client_environment import check_environment
from optical_sweeps.tracking.login import preferred_mode, server_problem

if TYPE_CHECKING:
    import wandb


LONGEST_NAME = 128
"""Characters that W&B accepts in the name of a project, a group or a run."""
LONGEST_TAG = 64
NOT_IN_PROJECTS = "/\\#?%:"
"""Characters that W&B refuses in the name of a project."""


def _project_name(name: str) -> str:
    if not name.strip():
        raise ValueError("empty; name a W&B project")
    if refused := [character for character in NOT_IN_PROJECTS if character in name]:
        raise ValueError(f"{name!r} contains {' '.join(refused)}, which W&B refuses in a project; rename it")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{_too_long(name, LONGEST_NAME, 'a project')}; shorten it")
    return name


def _entity_name(name: str | None) -> str | None:
    if name is not None and (not name.strip() or "/" in name):
        raise ValueError(f"{name!r} is not the name of a W&B user or team; change it, or use null")
    return name


def _tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    for tag in tags:
        if not tag:
            raise ValueError("a tag is empty; remove it")
        if len(tag) > LONGEST_TAG:
            raise ValueError(f"{_too_long(tag, LONGEST_TAG, 'a tag')}; shorten it")
    return tags


def _too_long(text: str, limit: int, what: str) -> str:
    return f"{shortened(text, 40)!r} has {len(text)} characters, and W&B accepts {limit} in {what}"


def shortened(text: str, limit: int) -> str:
    """A text of at most `limit` characters.

    >>> shortened("optical ratio=0.25", 10)
    'optical...'
    """
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


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
    project: Annotated[str, AfterValidator(_project_name)] = "optical-sweeps"
    entity: Annotated[str | None, AfterValidator(_entity_name)] = None
    tags: Annotated[Strings, AfterValidator(_tags)] = ()
    artifacts: bool = False
    system_metrics: bool = False
    metadata: bool = False
    init_timeout: PositiveFloat = 30.0
    finish_timeout: PositiveFloat = 120.0
    flush_interval: PositiveFloat = 5.0
    upload_interval: PositiveFloat = 15.0

    def effective_mode(self) -> str:
        """`online`, `offline` or `disabled`; does not contact the server."""
        return preferred_mode() if self.mode == "auto" else self.mode

    def check(self, group: str) -> None:
        """Refuse before any work what W&B would refuse once a run starts.

        Args:
            group: name of the sweep.

        Raises:
            UserError: a name that W&B does not accept, a WANDB_* variable that its client does not accept, or a
                server that only the working directory names.
        """
        if self.effective_mode() == "disabled":
            return
        if len(group) > LONGEST_NAME:
            problem = _too_long(group, LONGEST_NAME, "a group, which is the sweep's name")
            raise UserError(f"sweep.name: {problem}; shorten it, or use logger=disabled")
        check_environment()
        if self.effective_mode() == "online" and (danger := server_problem()):
            raise UserError(f"W&B: {danger}; or use logger=offline")

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
            "sagemaker_disable": True,  # otherwise the id and group of a SageMaker job replace ours
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
