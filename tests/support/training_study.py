"""A small distillation whose every number is a function of its settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.mixture import FixedTotal
from optical_sweeps.encoders.encoder_settings import Side, TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.objectives import Contrastive, Objective, needs
from optical_sweeps.training.bitext_data import BitextDataModule, DrawnBitext
from optical_sweeps.training.callbacks import DevEvaluator, DevValidation
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_module import DistillationModule
from optical_sweeps.training.fit import TrainingResult, fit
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.online_teacher import OnlineTeacher
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.stored_teacher import StoredTeacher
from optical_sweeps.training.training_checkpoints import TrainingCheckpoints
from optical_sweeps.training.training_settings import TrainingSettings

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "house", "tree", "river", "stone", "sun", "moon"]
CODED = [word[::-1] for word in WORDS]
SETTINGS = TrainingSettings(
    batch_size=8, epochs=2, learning_rate=3e-3, freeze_embeddings=False, log_every=1, validate_every=3
)
STEPS = 16
"""Two epochs of 60 pairs; the last batch of an epoch is short."""


class Killed(Exception):
    """Simulates a process that is killed."""


class History:
    """A log in memory that a resumed training cuts back, as it does with a run's log."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.rows.append((step, dict(metrics)))

    def state_dict(self) -> dict[str, int]:
        return {"rows": len(self.rows)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        del self.rows[state.get("rows", 0) :]


def train(
    student: TokenEncoder,
    teacher: TokenEncoder,
    objective: Objective,
    settings: TrainingSettings,
    evaluator: DevEvaluator,
    context: TrainingContext,
    *,
    pairs: int = 60,
    sides: tuple[Side, ...] = ("query",),
    seed: int = 1,
) -> TrainingResult:
    """Train a student on coded sentences, with the vectors of their English side stored as in a run."""
    english, coded = sentences(WORDS, pairs, 0), sentences(CODED, pairs, 0)
    drawn = DrawnBitext(
        FixedTotal(total=pairs, ratio=1.0).draw({"xx": pairs}, [], ["xx"]),
        {"xx": Bitext("xx", tuple(english), tuple(coded))},
    )
    stored = (
        OnlineTeacher(teacher, {side: drawn.tokenise(teacher, drawn.english, side) for side in sides})
        if settings.teacher == "online"
        else StoredTeacher({side: teacher.encode(drawn.english, side) for side in sides})
    )
    student.freeze(embeddings=settings.freeze_embeddings, layers=settings.freeze_layers).train()
    data = BitextDataModule(drawn, student, stored, sides, needs(objective), settings, context, seed)
    module = DistillationModule(
        student,
        stored,
        objective,
        settings,
        steps=data.steps,
        wreck=context.folder / "wreck",
        ranks=context.ranks,
    )
    return fit(module, data, DevValidation(evaluator, settings, data.steps, context), context, seed)


@dataclass
class Study:
    """One distillation, started as often as necessary.

    Args:
        folder: folder of its checkpoints.
        fall_at: the step at which the next process is killed.
        call_at: a step, and a function that is called after it, such as one that raises a signal.
        search_at: a step, and a function that is called during its validation.
    """

    encoder: TokenEncoder
    folder: Path
    settings: TrainingSettings = SETTINGS
    objective: Objective = field(default_factory=Contrastive)
    sides: tuple[Side, ...] = ("query",)
    workers: int = 0
    seconds: float = 0.0
    ranks: Ranks = ALONE
    fall_at: int | None = None
    call_at: tuple[int, Callable[[], object]] | None = None
    search_at: tuple[int, Callable[[], object]] | None = None
    identity: str = "a study"
    history: History = field(default_factory=History)
    announced: list[str] = field(default_factory=list)
    student: TokenEncoder | None = None
    done: TrainingResult | None = None
    interruption: Interruption = field(default_factory=Interruption)

    def run(self, interruption: Interruption | None = None, keep: bool = True) -> TrainingResult:
        self.interruption = interruption or Interruption()
        self.student = self.encoder.copy()
        context = TrainingContext(
            Machine(
                accelerator="cpu",
                devices=self.ranks.world,
                workers=self.workers,
                checkpoint_seconds=self.seconds,
            ),
            self.folder,
            self.interruption,
            self.ranks,
            self.history if self.ranks.is_first else History(),
            self._progress,
            self.checkpoints if keep else None,
        )
        return train(self.student, self.encoder, self.objective, self.settings, self, context, sides=self.sides)

    @property
    def checkpoints(self) -> TrainingCheckpoints:
        return TrainingCheckpoints(self.folder / "checkpoints", self.identity, self.announced.append)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        assert self.student is not None
        return {name: value.numpy() for name, value in self.student.state_dict().items()}

    def evaluate(self, student: TokenEncoder, step: int) -> float:
        """A score that rises and falls."""
        if self.search_at and step == self.search_at[0]:
            self.search_at[1]()
        self.interruption.check()
        vectors = student.encode(CODED[:4], "query").vectors
        score = float(np.abs(vectors).sum() * 1e4 % 7)
        self.history.log_metrics({"dev": score}, step)
        return score

    def _progress(self, step: int, steps: int) -> None:
        if step == self.fall_at:
            raise Killed
        if self.call_at and step == self.call_at[0]:
            self.call_at[1]()


def sentences(words, count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(words[i] for i in rng.permutation(len(words))[:3]) for _ in range(count)]


def make_encoder(dropout: float = 0.0) -> TokenEncoder:
    settings = TokenEncoderSettings(dim=16, query_prefix="", document_prefix="")
    backbone = TinyBackbone(layers=1, hidden_size=32, heads=2, dropout=dropout)
    return TokenEncoder(backbone.build([*WORDS, *CODED]), settings)
