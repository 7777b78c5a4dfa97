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
        if Path(str(config.hydra.run.dir)).absolute() != run.folder.absolute():
            raise UserError(
                f"hydra.run.dir: {config.hydra.run.dir}, but the run belongs into {run.folder}; "
                "leave it out, and set paths.sweeps and sweep.name"
            )
        run.check()
