"""The machine a run trains on, and a Lightning trainer for it that says nothing by itself."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.checks import one_of, whole_number
from optical_sweeps.errors import UserError
from optical_sweeps.training.settings import TrainingSettings


@dataclass(frozen=True)
class Machine:
    """What changes a run's speed and never its identity.

    Args:
        accelerator: auto, cpu or gpu.
        devices: 1; more is a later version's.
        threads: of torch on the CPU; 0 leaves torch's own choice.
        workers: of the data loader; 0 collates in the training process.
    """

    accelerator: str = "auto"
    devices: int = 1
    threads: int = 0
    workers: int = 0
    __no_type_check__ = True

    def __post_init__(self) -> None:
        for name, least in (("devices", 1), ("threads", 0), ("workers", 0)):
            whole_number(f"machine.{name}", getattr(self, name), least)
        if self.devices != 1:
            raise UserError("machine.devices: runs train on one device; sweep on several by several processes")
        one_of("machine.accelerator", self.accelerator, ("auto", "cpu", "gpu"))

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


def quiet_trainer(  # type: ignore[no-untyped-def]
    machine: Machine, settings: TrainingSettings, steps: int, callbacks: Sequence, folder: Path
):
    """A Lightning trainer for `steps` steps that logs, checkpoints and prints nothing by itself."""
    import lightning
    from lightning.fabric.plugins.environments import LightningEnvironment

    with _no_trainer_chatter():
        return lightning.Trainer(
            accelerator="gpu" if machine.device() == "cuda" else "cpu",
            devices=machine.devices,
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
            # Lightning requeues Slurm jobs by itself unless it is told that it runs on a plain machine
            plugins=[LightningEnvironment()],
        )


def fit_quietly(trainer, module, loader) -> None:  # type: ignore[no-untyped-def]
    """`trainer.fit` without Lightning's hints about workers and devices."""
    with _no_trainer_chatter():
        trainer.fit(module, loader)


@contextmanager
def _no_trainer_chatter() -> Iterator[None]:
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
