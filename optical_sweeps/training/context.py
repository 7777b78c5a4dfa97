"""What surrounds a training: its machine, folder, log, progress bar, checkpoints, and requests to stop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from optical_sweeps.console import Advance, no_progress
from optical_sweeps.interruption import Interruption
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.training_checkpoints import State, TrainingCheckpoints


@runtime_checkable
class Stateful(Protocol):
    """A part of the training, besides the model, that a resumed training has to restore."""

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None:
        """Restore a state; the empty one is the start. Raises UnusableCheckpoint if that is impossible."""
        ...


@runtime_checkable
class MetricsLogger(Stateful, Protocol):
    """Where a training logs its metrics."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...


class NullLogger:
    """Logs nothing: the logger of all ranks but the first."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None: ...


@dataclass(frozen=True)
class TrainingContext:
    """What surrounds a training, the same for every module that is trained.

    Args:
        machine: devices, data loader workers and the interval between checkpoints.
        folder: receives the batch of a step whose loss or gradient is not finite.
        interruption: the signals that ask the process to stop.
        ranks: the processes that share every batch.
        logger: receives metrics; on ranks other than 0 a `NullLogger`.
        progress: called with (steps done, all steps) after every step.
        checkpoints: where the state is stored; None stores nothing.
    """

    machine: Machine
    folder: Path
    interruption: Interruption = field(default_factory=Interruption)
    ranks: Ranks = ALONE
    logger: MetricsLogger = field(default_factory=NullLogger)
    progress: Advance = no_progress
    checkpoints: TrainingCheckpoints | None = None
