"""Hydra's launcher for Slurm: `hydra/launcher=slurm_cpu`, `slurm_gpu` or `slurm_ddp`."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SlurmLauncher(Launcher):
    """Submits a batch of points in packed job arrays, and waits for them if `wait` is true."""

    def __init__(self, **settings: object) -> None:
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`; every process knows the task, so it is not sent along."""
        self._context, self._config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit the points, each given by its overrides; returns one result per point, in order."""
        from optical_sweeps.sweeps.slurm_launch import launch

        return launch(self._context.config_loader, self._config, self._settings, job_overrides)
