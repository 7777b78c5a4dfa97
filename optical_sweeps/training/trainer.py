"""A Lightning trainer that says and decides nothing by itself."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment
from torch.utils.data import Dataset

from optical_sweeps.interruption import Interrupted, Interruption
from optical_sweeps.training.buckets import BucketedBatches
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.pairs import EpochBatches, batches
from optical_sweeps.training.ranks import Ranks
from optical_sweeps.training.resuming import Resumable
from optical_sweeps.training.settings import TrainingSettings


class StartedRanks(ClusterEnvironment):
    """Tells Lightning who we are, in place of its own detection.

    That would take a Slurm job for its own: requeue it on a signal and load what lies in the folder.
    """

    def __init__(self, ranks: Ranks, devices: int) -> None:
        super().__init__()
        self.ranks, self.devices = ranks, devices

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise AssertionError("the processes have met already")

    @property
    def main_port(self) -> int:
        raise AssertionError("the processes have met already")

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self.ranks.world

    def set_world_size(self, size: int) -> None:
        assert size == self.ranks.world

    def global_rank(self) -> int:
        return self.ranks.rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self.ranks.rank

    def local_rank(self) -> int:
        return self.ranks.local_rank

    def node_rank(self) -> int:
        return self.ranks.rank // self.devices


def quiet_trainer(
    machine: Machine,
    ranks: Ranks,
    settings: TrainingSettings,
    steps: int,
    callbacks: Sequence[lightning.Callback],
    folder: Path,
) -> lightning.Trainer:
    """A trainer for `steps` more steps that logs, checkpoints and prints nothing by itself."""
    if ranks.world > 1:
        from lightning.pytorch.strategies import DDPStrategy

        spread: dict[str, Any] = {
            "devices": machine.devices,
            "num_nodes": machine.nodes,
            "strategy": DDPStrategy(
                cluster_environment=StartedRanks(ranks, machine.devices),
                broadcast_buffers=False,  # a queue of negatives is the same everywhere, and grows
            ),
            "use_distributed_sampler": False,  # a rank takes its share of each batch
        }
    else:
        spread = {"devices": 1, "plugins": [LightningEnvironment()]}
    with _no_chatter():
        return lightning.Trainer(
            accelerator="gpu" if machine.device() == "cuda" else "cpu",
            max_epochs=1,
            max_steps=steps,
            precision=settings.precision,
            gradient_clip_val=settings.gradient_clip or None,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            **spread,
        )


def fit(
    module: Resumable,
    dataset: Dataset[Any],
    sampler: EpochBatches | BucketedBatches,
    settings: TrainingSettings,
    machine: Machine,
    ranks: Ranks,
    callbacks: Sequence[lightning.Callback],
    interruption: Interruption,
    folder: Path,
) -> None:
    """Train a module on the batches that follow its first step.

    Raises:
        Interrupted: the process was asked to stop.
    """
    left = sampler.after(module.first_step)
    if not len(left):
        return
    trainer = quiet_trainer(machine, ranks, settings, len(left), callbacks, folder)
    try:
        with _no_chatter():
            trainer.fit(module, batches(dataset, left, machine.workers))
    except Exception as error:
        if interruption.received is None:
            raise
        # who asks one process to stop has often killed another that it needs
        raise Interrupted(interruption.received) from error


@contextmanager
def _no_chatter() -> Iterator[None]:
    names = ("lightning.pytorch", "lightning.fabric")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
