"""Settings of a teacher that is trained here, on relevant pairs or on triples."""

from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Literal

from optical_sweeps.checks import Count, NonNegativeInt, PositiveFloat
from optical_sweeps.corpora.triples import TripleSource
from optical_sweeps.encoders.teacher_checkpoint import refuse_without_checkpoint
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings
from optical_sweeps.training.training_settings import TrainingSettings

if TYPE_CHECKING:  # a grid is planned without torch
    from optical_sweeps.encoders.encoder_settings import Side, TokenEncoderSettings

TeacherLoss = Literal["in_batch", "pairwise", "both"]


@settings("teacher.mining")
class NegativeMining:
    """How hard negatives are drawn from the documents that a search returns.

    Args:
        depth: documents searched for; those not known to be relevant are the candidates.
        skip: number of best candidates to leave out, since they are often relevant without a judgement.
        per_query: negatives drawn for each query and positive.
        seed: seed of the draw.
    """

    depth: Count = 100
    skip: NonNegativeInt = 0
    per_query: Count = 1
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.depth - self.skip < self.per_query:
            raise UserError(
                f"{key_of('depth')}: {self.depth} less skip {self.skip} leaves fewer candidates than "
                f"per_query {self.per_query}; raise it"
            )


@settings("teacher")
class TeacherSettings:
    """How a teacher is trained.

    Args:
        training: how it is optimised.
        temperature: divides the MaxSim scores.
        seed: seed of the order of examples and of dropout.
        loss: `in_batch` (every other document of the batch is a negative), `pairwise` (softmax over a query's
            own positive and negatives; Khattab and Zaharia 2020, arXiv 2004.12832, section 3.3), or `both`,
            added (as in ColBERTv2, arXiv 2112.01488, section 3.2).
        triples: queries with positives and negatives; None trains on the corpus's relevant pairs.
        negatives: `none` uses only those of the triples; `bm25` mines them with BM25, and `checkpoint` with the
            same teacher trained with negatives=none, whose weights this training starts from.
        mining: how mined negatives are chosen.

    Raises:
        UserError: a setting is out of range, or contradicts another setting.
    """

    training: TrainingSettings = field(default_factory=TrainingSettings)
    temperature: PositiveFloat = 0.05
    seed: NonNegativeInt = 0
    loss: TeacherLoss = "in_batch"
    triples: TripleSource | None = None
    negatives: Literal["none", "bm25", "checkpoint"] = "none"
    mining: NegativeMining = field(default_factory=NegativeMining)
    uses_backbone: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("batch_tokens", "validate_every", "code_switching"):
            if getattr(self.training, name) is not None:
                raise UserError(f"{key_of(f'training.{name}')}: only students are trained so; set it to null")
        if self.loss != "in_batch" and self.triples is None and self.negatives == "none":
            raise UserError(
                f"{key_of('loss')}: {self.loss} compares with negatives, and the corpus's pairs have none; set "
                "teacher.negatives=bm25, or teacher=triples"
            )

    @property
    def reads_pairs(self) -> bool:
        """Whether the teacher is trained on the corpus's own pairs."""
        return self.triples is None

    def check(self, encoder: object, objective: object) -> None:
        """Refuse settings of the study that contradict this teacher, before any work."""
        refuse_without_checkpoint(encoder)

    def fingerprint(self) -> str | None:
        """A digest of the triples' content, which replaces their path in a run's identity."""
        return None if self.triples is None else self.triples.fingerprint()

    def layers(self) -> int | None:
        """None: the number of layers is that of the backbone."""
        return None

    def length(self, encoder: "TokenEncoderSettings", side: "Side") -> int:
        """The largest number of tokens of a text on a side of retrieval."""
        return encoder.length(side)
