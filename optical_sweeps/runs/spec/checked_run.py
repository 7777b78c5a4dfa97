"""A single run is checked before Hydra makes its folder."""

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from optical_sweeps.errors import leave_on_error
from optical_sweeps.runs.spec.run_spec import look_at


class CheckedRun(Callback):
    """Hydra callback of `train` without -m; a grid's points are checked by the sweeper."""

    @leave_on_error
    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        look_at(config).check()
