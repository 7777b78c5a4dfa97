"""A training that goes on where another process left it, to the same numbers.

A checkpoint holds what the rest of a training depends on: weights that train and buffers, optimiser, schedule,
the fp16 scaler, random states, the step (which is the place in the order of batches), and the states of what
takes part (validation, logs). Lightning's own checkpoints hold its loops' counters too, and no place within an
epoch; here Lightning counts from where it was started, and the training's own step is that plus `first_step`.
"""

import random
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from optical_sweeps.interruption import Interrupted, Interruption
from optical_sweeps.training.checkpoints import Checkpoints, State, UnusableCheckpoint
from optical_sweeps.training.ranks import Ranks

LEAST_INTERVAL = 20.0
"""Between two checkpoints lie so many times the seconds that writing one took."""


class Resumable(lightning.LightningModule):
    """A module that knows how many steps its training has taken, in this process and before."""

    first_step: int = 0

    @property
    def step(self) -> int:
        return self.first_step + int(self.global_step)


@runtime_checkable
class Stateful(Protocol):
    """Something beside the model on which the rest of a training depends."""

    def state(self) -> State: ...

    def restore(self, state: State | None) -> None:
        """Go back to a state; None is the start. Raises UnusableCheckpoint if that cannot be."""
        ...


class Checkpointing(lightning.Callback):
    """Keeps the state of a training every so many seconds, and when the process is asked to stop.

    It stands last among the callbacks, so that what it keeps is what the step after depends on.

    Args:
        checkpoints: where to; None keeps nothing.
        seconds: between checkpoints; 0 is after every step.
        saved: the state to go on from, None at the start.
        parts: whose states are kept beside the model's.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        seconds: float,
        interruption: Interruption,
        ranks: Ranks,
        saved: State | None,
        parts: Mapping[str, Stateful],
    ) -> None:
        self.checkpoints, self.seconds = checkpoints, seconds
        self.interruption, self.ranks, self.parts = interruption, ranks, parts
        self.seconds_before = float(saved["seconds"]) if saved else 0.0
        self._saved = saved
        self._began = self._kept = time.monotonic()
        self._cost = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: Resumable) -> None:
        self.interruption.listen()
        if self._saved is not None:
            _restore(self._saved, trainer)

    def on_train_batch_start(self, trainer: lightning.Trainer, module: Resumable, *_: Any) -> None:
        if self._saved is not None:
            # as late as can be: the loader's start draws from torch's generator
            _restore_random(self._saved["random"], self.ranks)
            self._saved = None

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Resumable, *_: Any) -> None:
        if self.ranks.any(self.interruption.received is not None):
            raise Interrupted(self.interruption.received or 15)
        if self.checkpoints is not None and self.ranks.any(self.ranks.is_first and self._is_due()):
            self._keep(trainer, module)

    def on_exception(self, trainer: lightning.Trainer, module: Resumable, exception: BaseException) -> None:
        # raised between two steps, unless at once; before all is restored there is nothing new to keep
        between = isinstance(exception, Interrupted) and not exception.at_once and self._saved is None
        if between and self.checkpoints is not None:
            self._keep(trainer, module)

    def keep_result(self, module: Resumable) -> None:
        """Keep what the training came to, so that work after it need not train again."""
        if self.checkpoints is not None and self.ranks.is_first:
            self.checkpoints.write({**self._common(module), "done": True})

    @property
    def total_seconds(self) -> float:
        """Of training so far, in this process and before."""
        return self.seconds_before + time.monotonic() - self._began

    def _common(self, module: Resumable) -> dict[str, Any]:
        return {
            "step": module.step,
            "seconds": self.total_seconds,
            "model": trained_state(module),
            "parts": {name: part.state() for name, part in self.parts.items()},
        }

    def _is_due(self) -> bool:
        waited = time.monotonic() - self._kept
        return not self.seconds or waited >= max(self.seconds, LEAST_INTERVAL * self._cost)

    def _keep(self, trainer: lightning.Trainer, module: Resumable) -> None:
        assert self.checkpoints is not None
        start = time.monotonic()
        everyones_random = self.ranks.all_of(_random_state())
        if self.ranks.is_first:
            state = {
                **self._common(module),
                "done": False,
                "optimiser": trainer.optimizers[0].state_dict(),
                "schedule": _schedule(trainer).state_dict(),
                "scaler": trainer.precision_plugin.state_dict(),
                "random": everyones_random,
            }
            self.checkpoints.write(state)
        self._kept = time.monotonic()
        self._cost = self._kept - start


def take_up(
    module: Resumable, checkpoints: Checkpoints | None, parts: Mapping[str, Stateful], ranks: Ranks
) -> State | None:
    """Bring a module and its parts to the newest usable state; None if there is none: parts are at their start.

    The optimiser and its like follow when they exist (`Checkpointing`).
    """

    def parts_to(state: State | None) -> None:
        for name, part in parts.items():
            part.restore(state["parts"][name] if state else None)

    def to(state: State) -> None:
        parts_to(state)
        load_trained_state(module, state["model"])

    state = None if checkpoints is None else ranks.broadcast_from_rank0(lambda: checkpoints.newest(to))
    if state is None:
        parts_to(None)
        return None
    if not ranks.is_first:
        to(state)
    module.first_step = state["step"]
    return state


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that train, and the buffers that are part of the module's state."""
    state = module.state_dict()
    held = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: value for name, value in state.items() if name not in held and isinstance(value, Tensor)}


def load_trained_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Bring back what `trained_state` gave.

    Raises:
        UnusableCheckpoint: it is of a module of other parts.
    """
    if set(state) != set(trained_state(module)):
        raise UnusableCheckpoint("of a model of other parts")
    for name, parameter in module.named_parameters():
        if name in state and state[name].shape != parameter.shape:
            raise UnusableCheckpoint("of a model of other shapes")
    module.load_state_dict(dict(state), strict=False)  # a buffer may grow, such as a queue


def _restore(saved: State, trainer: lightning.Trainer) -> None:
    trainer.optimizers[0].load_state_dict(saved["optimiser"])
    _schedule(trainer).load_state_dict(saved["schedule"])
    trainer.precision_plugin.load_state_dict(saved["scaler"])


def _schedule(trainer: lightning.Trainer) -> Any:
    return trainer.lr_scheduler_configs[0].scheduler


def _random_state() -> dict[str, Any]:
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - whoever draws from it
    _, keys, place, has_gauss, gauss = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": {"keys": keys.tolist(), "place": place, "has_gauss": has_gauss, "gauss": gauss},
        "python": random.getstate(),
    }


def _restore_random(saved: list[State], ranks: Ranks) -> None:
    if len(saved) != ranks.world:
        return  # taken up by another number of devices: no stream to go on with
    own = saved[ranks.rank]
    torch.set_rng_state(own["torch"])
    if own["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(own["cuda"])
    of = own["numpy"]
    keys = np.array(of["keys"], np.uint32)
    np.random.set_state(("MT19937", keys, of["place"], of["has_gauss"], of["gauss"]))  # noqa: NPY002
    random.setstate(own["python"])
