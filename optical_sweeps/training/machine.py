"""The machine a run trains on."""

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optical_sweeps.checks import number_between, one_of, true_or_false, whole_number
from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    from optical_sweeps.training.ranks import Ranks


@dataclass(frozen=True)
class Machine:
    """What changes a run's speed and never its identity.

    Args:
        accelerator: auto, cpu or gpu.
        devices: of each node that train a run together, a process each; `training.batch_size` is split.
        nodes: that train a run together.
        threads: of torch on the CPU; 0 leaves torch's own choice.
        workers: of the data loader; 0 collates in the training process.
        checkpoint_seconds: of training between checkpoints; 0 keeps one after every step.
        keep_checkpoints: leave them in the run folder when the run is done.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = 0
    workers: int = 0
    checkpoint_seconds: float = 300.0
    keep_checkpoints: bool = False
    __no_type_check__ = True

    def __post_init__(self) -> None:
        for name, least in (("devices", 1), ("nodes", 1), ("threads", 0), ("workers", 0)):
            whole_number(f"machine.{name}", getattr(self, name), least)
        one_of("machine.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        seconds = number_between("machine.checkpoint_seconds", self.checkpoint_seconds, 0.0, math.inf)
        object.__setattr__(self, "checkpoint_seconds", seconds)
        true_or_false("machine.keep_checkpoints", self.keep_checkpoints)

    @property
    def of_one(self) -> "Machine":
        """The same, for work that one process does alone."""
        return dataclasses.replace(self, devices=1, nodes=1)

    def ranks(self) -> "Ranks":
        """This process's place among those that train a run together; the first call meets the others.

        Raises:
            UserError: more than one device is asked for, and this process was not started as one of so many.
        """
        from optical_sweeps.training.ranks import join

        return join(self.devices * self.nodes, self.device())

    def device(self) -> str:
        """The device that tensors go to: `cpu` or `cuda`."""
        import torch

        return "cuda" if self.accelerator != "cpu" and torch.cuda.is_available() else "cpu"

    def check(self, precision: str) -> None:
        """Refuse a machine that is not there, or that cannot train in this precision."""
        if self.accelerator == "gpu" and self.device() == "cpu":
            raise UserError("machine.accelerator: gpu, but torch sees none; set cpu or auto")
        if precision == "16-mixed" and self.device() == "cpu":
            raise UserError("training.precision: 16-mixed needs a GPU; set 32-true or bf16-mixed")

    def prepare(self) -> None:
        """Set up torch for this process; call before the first tensor operation.

        Worker threads inherit the denormal mode of the thread that starts them, so it is set before there
        are any: a plan full of denormals takes 25 times as long.
        """
        import torch

        torch.set_flush_denormal(True)
        if self.threads:
            torch.set_num_threads(self.threads)
