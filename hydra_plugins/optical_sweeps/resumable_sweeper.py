"""Hydra's door to `optical_sweeps.sweeps.sweeper`; Hydra looks for plugins in this package alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ResumableSweeper(Sweeper):
    """Checks the whole grid, skips what is done, launches the rest, and goes on when runs fail."""

    def __init__(
        self, params: Mapping[str, Any] | None, fail_fast: bool = False, batch_size: int | None = None
    ) -> None:
        self.params, self.fail_fast, self.batch_size = dict(params or {}), fail_fast, batch_size

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.hydra_context, self.task_function = config, hydra_context, task_function

    def sweep(self, arguments: list[str]) -> Sequence[Any]:
        from optical_sweeps.sweeps.sweeper import sweep

        return sweep(self, arguments)
