"""A Lightning trainer without output, logger and checkpoints."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lightning
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment

from optical_sweeps.interruption import Interrupted
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.ranks import Ranks
from optical_sweeps.training.training_settings import TrainingSettings


class StartedRanks(ClusterEnvironment):
    """Tells Lightning the ranks instead of letting it detect them.

    Lightning would otherwise treat a Slurm job as its own: requeue it on a signal, and load the checkpoints in
    the folder.
    """

    def __init__(self, ranks: Ranks, devices: int) -> None:
        super().__init__()
        self.ranks, self.devices = ranks, devices

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise AssertionError("the processes are connected already")

    @property
    def main_port(self) -> int:
        raise AssertionError("the processes are connected already")

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
    context: TrainingContext, settings: TrainingSettings, steps: int, callbacks: Sequence[lightning.Callback]
) -> lightning.Trainer:
    """A trainer for `steps` more steps without Lightning's own logger, checkpoints and progress bar."""
    machine, ranks = context.machine, context.ranks
    devices: dict[str, object] = {"devices": 1, "plugins": [LightningEnvironment()]}
    if ranks.world > 1:
        from lightning.pytorch.strategies import DDPStrategy

        devices = {
            "devices": machine.devices,
            "num_nodes": machine.nodes,
            "strategy": DDPStrategy(
                cluster_environment=StartedRanks(ranks, machine.devices),
                broadcast_buffers=False,  # a queue of negatives is the same on every rank, and it grows
            ),
            "use_distributed_sampler": False,  # a rank takes its share of each batch
        }
    with _quiet_lightning():
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
            default_root_dir=context.folder,
            **devices,
        )


@contextmanager
def fitting(context: TrainingContext) -> Iterator[None]:
    """Keep Lightning quiet while it fits, and raise `Interrupted` for failures after a request to stop.

    A signal that asks one process to stop has often killed another one that it depends on.
    """
    interruption = context.interruption
    try:
        with _quiet_lightning():
            yield
    except Exception as error:
        if interruption.received is None:
            raise
        raise Interrupted(interruption.received) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
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
