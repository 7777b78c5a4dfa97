"""Hydra callback that checks a single run before Hydra creates its folder."""

from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from optical_sweeps.errors import UserError, leave_on_error
from optical_sweeps.runs.run import describe_run


class CheckedRun(Callback):
    """Checks the run of a command without -m; the sweeper checks the points of a grid."""

    @leave_on_error
    def on_run_start(self, config: DictConfig, **_: object) -> None:
        run = describe_run(config)
        run.check()
        folder = str(config.hydra.run.dir)
        is_set = any(text.startswith("hydra.run.dir=") for text in config.hydra.overrides.hydra)
        # Commands that only read runs work in the current folder.
        if (is_set or folder != ".") and Path(folder).absolute() != run.folder.absolute():
            raise UserError(
                f"hydra.run.dir: {folder}, but the run belongs into {run.folder}; "
                "leave it out, and set paths.sweeps and sweep.name"
            )
