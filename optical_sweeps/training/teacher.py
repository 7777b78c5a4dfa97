"""How the teacher is made: a late-interaction encoder trained on relevant pairs or on triples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optical_sweeps.checks import one_of, positive_number, whole_number
from optical_sweeps.encoders.teacher_checkpoint import refuse_without_checkpoint
from optical_sweeps.errors import UserError
from optical_sweeps.training.settings import TrainingSettings

if TYPE_CHECKING:  # a grid is planned without Lightning
    from optical_sweeps.corpora.collections import RelevantPair
    from optical_sweeps.corpora.triples import Triples, TripleSource
    from optical_sweeps.encoders.token_encoder import TokenEncoder
    from optical_sweeps.interruption import Interruption
    from optical_sweeps.training.checkpoints import Checkpoints
    from optical_sweeps.training.machine import Machine

LOSSES = ("in_batch", "pairwise", "both")
MINERS = ("none", "bm25", "checkpoint")


@dataclass(frozen=True)
class Mining:
    """How hard negatives are chosen among what a search finds.

    Args:
        depth: of the search; candidates are the best so many documents that are not known to be relevant.
        skip: leave out the best so many of these, which are often relevant and not judged.
        per_query: negatives of each query and positive, drawn among the candidates.
        seed: of the draw.
    """

    depth: int = 100
    skip: int = 0
    per_query: int = 1
    seed: int = 0
    __no_type_check__ = True

    def __post_init__(self) -> None:
        for name, least in (("depth", 1), ("skip", 0), ("per_query", 1), ("seed", 0)):
            whole_number(f"teacher.mining.{name}", getattr(self, name), least=least)
        if self.depth - self.skip < self.per_query:
            raise UserError(
                f"teacher.mining.depth: {self.depth} less skip {self.skip} leaves fewer candidates than "
                f"per_query {self.per_query}; raise it"
            )


@dataclass(frozen=True)
class Teacher:
    """How the teacher is made.

    Args:
        training: how it is optimised.
        temperature: divides the MaxSim scores; greater than 0.
        seed: of the order of the pairs and of dropout.
        loss: `in_batch` (every other document of the batch is a negative), `pairwise` (softmax over a query's
            own positive and negatives; Khattab and Zaharia 2020, arXiv 2004.12832, section 3.3), or `both`,
            added (as in ColBERTv2, arXiv 2112.01488, section 3.2).
        triples: queries with positives and negatives; none: the corpus's relevant pairs.
        negatives: `none` but those of the triples, or mined by `bm25` or by the previous `checkpoint`, which is
            this teacher trained with negatives=none, and whose weights the training goes on from.
        mining: how those are chosen.

    Raises:
        UserError: a setting is out of range, or does not go with a teacher or with another.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    temperature: float = 0.05
    seed: int = 0
    loss: str = "in_batch"
    triples: "TripleSource | None" = None
    negatives: str = "none"
    mining: Mining = field(default_factory=Mining)
    uses_backbone = True
    __no_type_check__ = True

    def __post_init__(self) -> None:
        positive_number("teacher.temperature", self.temperature)
        whole_number("teacher.seed", self.seed, least=0)
        one_of("teacher.loss", self.loss, LOSSES)
        one_of("teacher.negatives", self.negatives, MINERS)
        for name in ("batch_tokens", "validate_every", "code_switching"):
            if getattr(self.training, name) is not None:
                raise UserError(f"teacher.training.{name}: only students are trained so; set it to null")
        if self.loss != "in_batch" and self.triples is None and self.negatives == "none":
            raise UserError(
                f"teacher.loss: {self.loss} compares with negatives, and the corpus's pairs have none; set "
                "teacher.negatives=bm25, or teacher=triples"
            )

    @property
    def reads_pairs(self) -> bool:
        """Whether it is trained on the corpus's own pairs."""
        return self.triples is None

    def check(self, encoder: Any, objective: Any) -> None:
        """Refuse before any work settings of the study that do not go with this teacher."""
        refuse_without_checkpoint(encoder)

    def fingerprint(self) -> str | None:
        """A digest of the triples' content, which counts in a run's identity in place of their path."""
        return None if self.triples is None else self.triples.fingerprint()

    def layers(self) -> int | None:
        """Known by the backbone."""
        return None

    def length(self, encoder: Any, side: str) -> int:
        """The longest text of a side, in tokens."""
        return int(encoder.length(side))

    def train(
        self,
        encoder: "TokenEncoder",
        examples: "Sequence[RelevantPair] | Triples",
        machine: "Machine",
        progress: Callable[[int, int], None],
        *,
        checkpoints: "Checkpoints | None" = None,
        interruption: "Interruption | None" = None,
    ) -> "TokenEncoder":
        """Train an encoder in place; the same arguments give the same weights on a CPU.

        Args:
            examples: relevant pairs, or triples.
            checkpoints: where the training's state is kept, and taken up from.
            interruption: tells when the process is asked to stop.

        Raises:
            Interrupted: the process was asked to stop; a checkpoint of the step stands.
        """
        from optical_sweeps.training.teacher_training import train_teacher

        return train_teacher(self, encoder, examples, machine, progress, checkpoints, interruption)
