"""Exact resume: a training that is stopped and continued gives the same numbers as an uninterrupted one.

A checkpoint holds everything that the rest of a training depends on: trained weights and buffers, optimiser,
schedule, the fp16 scaler, random states, the step (which is the position in the order of batches), and the
states of validation and logger. Lightning's own checkpoints also hold the counters of its loops, but no
position within an epoch. Here Lightning counts from the step at which this process started, and the step of
the training is that count plus `first_step`.
"""

import functools
import random
import time
from collections.abc import Mapping

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from optical_sweeps.interruption import Interrupted
from optical_sweeps.training.context import Stateful, TrainingContext
from optical_sweeps.training.ranks import Ranks
from optical_sweeps.training.training_checkpoints import State, UnusableCheckpoint

WRITING_SHARE = 20.0
"""The interval between checkpoints is at least this many times the seconds that writing one takes."""


class ResumableModule(lightning.LightningModule):
    """A module that counts the steps of its training, in this process and earlier ones."""

    first_step: int = 0

    @property
    def step(self) -> int:
        return self.first_step + int(self.global_step)


class ResumeCheckpoint(lightning.Callback):
    """Writes checkpoints at an interval, and when the process is asked to stop.

    It has to be the last callback, so that a checkpoint holds what the next step depends on.

    Args:
        state: the state to resume from; None at the start.
        parts: parts of the training whose states are stored beside the model's.
    """

    def __init__(self, context: TrainingContext, state: State | None, parts: Mapping[str, Stateful]) -> None:
        self.context, self.parts = context, parts
        self.seconds_before = float(state["seconds"]) if state else 0.0
        self._pending = state
        self._started = self._written = time.monotonic()
        self._cost = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: ResumableModule) -> None:
        self.context.interruption.listen()
        if self._pending is not None:
            trainer.optimizers[0].load_state_dict(self._pending["optimiser"])
            _schedule(trainer).load_state_dict(self._pending["schedule"])
            trainer.precision_plugin.load_state_dict(self._pending["scaler"])

    def on_train_batch_start(self, trainer: lightning.Trainer, module: ResumableModule, *_: object) -> None:
        if self._pending is not None:
            # as late as possible, since starting the data loader draws from torch's generator
            _restore_random(self._pending["random"], self.context.ranks)
            self._pending = None

    def on_train_batch_end(self, trainer: lightning.Trainer, module: ResumableModule, *_: object) -> None:
        ranks, interruption = self.context.ranks, self.context.interruption
        if ranks.any(interruption.received is not None):
            raise Interrupted(interruption.received or 15)
        if self.context.checkpoints is not None and ranks.any(ranks.is_first and self._is_due()):
            self._write(trainer, module)

    def on_exception(
        self, trainer: lightning.Trainer, module: ResumableModule, exception: BaseException
    ) -> None:
        # Interrupted is raised between two steps, unless at once. While a state is pending nothing is new.
        between_steps = isinstance(exception, Interrupted) and not exception.at_once
        if between_steps and self._pending is None:
            self._write(trainer, module)

    def write_result(self, module: ResumableModule) -> None:
        """Store the result of the training, so that later work does not have to train again."""
        if self.context.checkpoints is not None and self.context.ranks.is_first:
            self.context.checkpoints.write({**self._common_state(module), "done": True})

    def _common_state(self, module: ResumableModule) -> State:
        return {
            "step": module.step,
            "seconds": self.seconds_before + time.monotonic() - self._started,
            "model": trained_state(module),
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }

    def _is_due(self) -> bool:
        interval, waited = self.context.machine.checkpoint_seconds, time.monotonic() - self._written
        return not interval or waited >= max(interval, WRITING_SHARE * self._cost)

    def _write(self, trainer: lightning.Trainer, module: ResumableModule) -> None:
        if self.context.checkpoints is None:
            return
        start = time.monotonic()
        random_states = self.context.ranks.all_of(_random_state())
        if self.context.ranks.is_first:
            state = {
                **self._common_state(module),
                "done": False,
                "optimiser": trainer.optimizers[0].state_dict(),
                "schedule": _schedule(trainer).state_dict(),
                "scaler": trainer.precision_plugin.state_dict(),
                "random": random_states,
            }
            self.context.checkpoints.write(state)
        self._written = time.monotonic()
        self._cost = self._written - start


def resume(
    module: ResumableModule, context: TrainingContext, parts: Mapping[str, Stateful] = {}
) -> State | None:
    """Load the newest usable checkpoint into a module and its parts; None, and empty parts, if there is none.

    `ResumeCheckpoint` restores optimiser, schedule and random states later, once they exist.
    """
    load = functools.partial(_load, module, parts)
    state = None
    if context.checkpoints is not None:
        state = context.ranks.broadcast_from_rank0(context.checkpoints.newest, load)
    if state is None:
        for part in parts.values():
            part.load_state_dict({})
        return None
    if not context.ranks.is_first:
        load(state)
    module.first_step = state["step"]
    return state


def _load(module: ResumableModule, parts: Mapping[str, Stateful], state: State) -> None:
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    load_trained_state(module, state["model"])


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """The trainable parameters of a module, and the buffers that belong to its state."""
    state = module.state_dict()
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: value for name, value in state.items() if name not in frozen and isinstance(value, Tensor)}


def load_trained_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load the result of `trained_state`.

    Raises:
        UnusableCheckpoint: the module has other parameters or shapes.
    """
    if set(state) != set(trained_state(module)):
        raise UnusableCheckpoint("its model has other parts")
    for name, parameter in module.named_parameters():
        if name in state and state[name].shape != parameter.shape:
            raise UnusableCheckpoint("its model has other shapes")
    module.load_state_dict(dict(state), strict=False)  # buffers such as a queue may change their size


def _schedule(trainer: lightning.Trainer) -> LRScheduler:
    schedule: LRScheduler = trainer.lr_scheduler_configs[0].scheduler
    return schedule


def _random_state() -> State:
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002 - libraries use it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": (str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), place, has_gauss, gauss),
        "python": random.getstate(),
    }


def _restore_random(states: list[State], ranks: Ranks) -> None:
    if len(states) != ranks.world:
        return  # resumed on another number of devices, which have no random states
    state = states[ranks.rank]
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])
