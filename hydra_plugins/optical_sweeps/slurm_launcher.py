"""Hydra's launcher for Slurm: `hydra/launcher=slurm_cpu`, `slurm_gpu` or `slurm_ddp`."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SlurmLauncher(Launcher):
    """Submits a batch of points as one submission of packed arrays, and waits for them if asked to."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._config: DictConfig | None = None
        self._context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's own hook; the task is the same in every process, so it is not sent along."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit the points, each given by its overrides; one return a point, in their order."""
        from optical_sweeps.slurm.launch import launch

        assert self._context is not None
        assert self._config is not None
        return launch(self._context.config_loader, self._config, self._settings, job_overrides)
