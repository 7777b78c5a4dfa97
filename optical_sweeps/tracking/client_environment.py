"""WANDB_* variables of the user's environment that would change or break the W&B run of ours.

The client reads every setting from a variable. `wandb agent`, W&B Launch and scripts around this program set
some of them for one run of their own: with WANDB_SWEEP_ID, the client drops the id and the project that it was
given, so that nobody finds the run again. The variables listed here are therefore removed before the client
starts. All others stay the user's choice; `check_environment` refuses values that the client refuses.
"""

import logging
import os
from collections.abc import Mapping

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.login import one_line

OF_OTHER_RUNS = (
    "WANDB_CONFIG_PATHS",
    "WANDB_FORK_FROM",
    "WANDB_LAUNCH",
    "WANDB_LAUNCH_CONFIG_PATH",
    "WANDB_RESUME_FROM",
    "WANDB_RUN_ID",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_SYNC_TENSORBOARD",
    "WANDB_X_FILES_DIR",
    "WANDB_X_SKIP_TRANSACTION_LOG",
    "WANDB_X_SYNC_DIR_SUFFIX",
    "WANDB__FILES_DIR",
    "WANDB__SKIP_TRANSACTION_LOG",
    "WANDB__SYNC_DIR_SUFFIX",
)
"""Variables that choose another run's id, project or config, or move or drop its log files."""


def remove_other_runs() -> list[str]:
    """Remove the variables of other runs from this process; returns their names."""
    return [name for name in OF_OTHER_RUNS if os.environ.pop(name, None) is not None]


def without_other_runs(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of an environment for a child process that runs W&B's client.

    >>> without_other_runs({"WANDB_SWEEP_ID": "x", "WANDB_ENTITY": "team"})
    {'WANDB_ENTITY': 'team'}
    """
    return {name: value for name, value in environment.items() if name not in OF_OTHER_RUNS}


def escape_client_log() -> None:
    """Escape what is not ASCII in the log that the client keeps for its developers.

    It writes that file in the locale's encoding, and prints a traceback for each line that does not fit.
    """
    logging.getLogger("wandb").addFilter(_escape)  # adding it again has no effect


def _escape(record: logging.LogRecord) -> bool:
    record.msg, record.args = record.getMessage().encode("ascii", "backslashreplace").decode(), ()
    return True


def check_environment() -> None:
    """Check that the client accepts every WANDB_* variable; it refuses to start a run otherwise.

    Raises:
        UserError: it does not; the first such variable is named.
    """
    variables = {
        name: value
        for name, value in without_other_runs(os.environ).items()
        if name.startswith("WANDB_") and name != "WANDB_SERVICE"
    }
    if not variables:
        return
    import wandb

    for name, value in sorted(variables.items()):
        try:
            wandb.Settings().update_from_env_vars({name: value})
        except Exception as error:  # pydantic's errors and the client's own
            reason = one_line(_innermost(error))
            raise UserError(
                f"{name}: W&B's client refuses its value ({reason}); correct it or unset it"
            ) from error


def _innermost(error: Exception) -> Exception:
    """The reason inside an error of pydantic's, whose first line says nothing."""
    details = getattr(error, "errors", None)
    return ValueError(details()[0]["msg"]) if callable(details) else error
