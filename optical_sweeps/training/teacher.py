"""How the teacher is made: a late-interaction encoder trained on relevant query-document pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optical_sweeps.checks import positive_number, whole_number
from optical_sweeps.training.settings import TrainingSettings

if TYPE_CHECKING:  # a grid is planned without Lightning
    from optical_sweeps.corpora.collections import RelevantPair
    from optical_sweeps.encoders.token_encoder import TokenEncoder
    from optical_sweeps.training.checkpoints import Checkpoints
    from optical_sweeps.training.interruption import Interruption
    from optical_sweeps.training.machine import Machine


@dataclass(frozen=True)
class Teacher:
    """How the teacher is made.

    Args:
        training: how it is optimised.
        temperature: divides the MaxSim scores; greater than 0.
        seed: of the order of the pairs and of dropout.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    temperature: float = 0.05
    seed: int = 0
    __no_type_check__ = True

    def __post_init__(self) -> None:
        positive_number("teacher.temperature", self.temperature)
        whole_number("teacher.seed", self.seed, least=0)

    def train(
        self,
        encoder: "TokenEncoder",
        pairs: "Sequence[RelevantPair]",
        machine: "Machine",
        progress: Callable[[int, int], None],
        *,
        checkpoints: "Checkpoints | None" = None,
        interruption: "Interruption | None" = None,
    ) -> "TokenEncoder":
        """Train an encoder in place on relevant pairs; the same arguments give the same weights on a CPU.

        Args:
            checkpoints: where the training's state is kept, and taken up from.
            interruption: tells when the process is asked to stop.

        Raises:
            Interrupted: the process was asked to stop; a checkpoint of the step stands.
        """
        from optical_sweeps.training.teacher_training import train_teacher

        return train_teacher(self, encoder, pairs, machine, progress, checkpoints, interruption)
