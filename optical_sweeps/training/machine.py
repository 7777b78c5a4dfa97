"""The machine that a run trains on."""

import dataclasses
from typing import TYPE_CHECKING, Literal

from optical_sweeps.checks import Count, NonNegativeFloat, NonNegativeInt
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings

if TYPE_CHECKING:  # torch is imported only by processes that compute
    from optical_sweeps.training.ranks import Ranks


@settings("machine")
class Machine:
    """Settings that change the speed of a run and never its identity.

    Args:
        accelerator: `auto`, `cpu` or `gpu`.
        devices: devices per node that train a run together, one process each; they share
            `training.batch_size`.
        nodes: nodes that train a run together.
        threads: CPU threads of torch; 0 keeps torch's default.
        workers: worker processes of the data loader; 0 collates in the training process.
        checkpoint_seconds: seconds of training between checkpoints; 0 writes one after every step.
        keep_checkpoints: keep the checkpoints in the run folder after the run.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Count = 1
    nodes: Count = 1
    threads: NonNegativeInt = 0
    workers: NonNegativeInt = 0
    checkpoint_seconds: NonNegativeFloat = 300.0
    keep_checkpoints: bool = False

    @property
    def single_device(self) -> "Machine":
        """This machine for work of a single process."""
        return dataclasses.replace(self, devices=1, nodes=1)

    def ranks(self) -> "Ranks":
        """This process among the processes that train a run together; the first call connects them.

        Raises:
            UserError: the number of processes that were started is not `devices * nodes`.
        """
        from optical_sweeps.training.ranks import join

        return join(self.devices * self.nodes, self.device())

    def device(self) -> str:
        """The torch device of the tensors: `cpu` or `cuda`."""
        import torch

        return "cuda" if self.accelerator != "cpu" and torch.cuda.is_available() else "cpu"

    def check(self, precision: str) -> None:
        """Refuse a device that is missing, or that cannot train in this precision."""
        if self.accelerator == "gpu" and self.device() == "cpu":
            raise UserError("machine.accelerator: gpu, but torch sees none; set cpu or auto")
        if precision == "16-mixed" and self.device() == "cpu":
            raise UserError("training.precision: 16-mixed needs a GPU; set 32-true or bf16-mixed")

    def prepare(self) -> None:
        """Set up torch for this process; call it before the first tensor operation.

        Worker threads inherit the denormal mode of the thread that starts them, so it has to be set before
        any exist: a plan full of denormals takes 25 times as long.
        """
        import torch

        torch.set_flush_denormal(True)
        if self.threads:
            torch.set_num_threads(self.threads)
