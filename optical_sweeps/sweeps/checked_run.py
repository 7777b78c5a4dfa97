"""Hydra callback that checks a single run before Hydra creates its folder."""

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from optical_sweeps.errors import leave_on_error
from optical_sweeps.runs.run import describe_run


class CheckedRun(Callback):
    """Checks the run of a command without -m; the sweeper checks the points of a grid."""

    @leave_on_error
    def on_run_start(self, config: DictConfig, **_: object) -> None:
        describe_run(config).check()
