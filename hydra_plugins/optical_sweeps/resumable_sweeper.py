"""The plugin of `optical_sweeps.sweeps.sweeper`; Hydra looks for plugins in the package hydra_plugins."""

from collections.abc import Sequence

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ResumableSweeper(Sweeper):
    """Checks the whole grid, skips finished runs, launches the others, and continues when a run fails."""

    def __init__(self, params: object = None, **options: object) -> None:
        self.options = options  # params are read from the config, which knows their order

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self.config, self.hydra_context, self.task_function = config, hydra_context, task_function

    def sweep(self, arguments: list[str]) -> Sequence[object]:
        """Called by Hydra with the overrides of the command line; the runs' records are the result."""
        from optical_sweeps.sweeps.sweeper import sweep

        sweep(self, arguments)
        return []
