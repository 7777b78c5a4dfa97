"""A small distillation whose every number is a function of its settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.mixture import FixedTotal
from optical_sweeps.encoders.backbones import TinyBackbone
from optical_sweeps.encoders.token_encoder import Side, TokenEncoder, TokenEncoderSettings
from optical_sweeps.interruption import Interruption
from optical_sweeps.objectives import Contrastive
from optical_sweeps.training.training_checkpoints import TrainingCheckpoints
from optical_sweeps.training.distil import Distilled, distil
from optical_sweeps.training.distillation_data import DistillationData
from optical_sweeps.training.machine import Machine
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.training_settings import TrainingSettings

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "house", "tree", "river", "stone", "sun", "moon"]
CODED = [word[::-1] for word in WORDS]
SETTINGS = TrainingSettings(
    batch_size=8, epochs=2, learning_rate=3e-3, freeze_embeddings=False, log_every=1, validate_every=3
)
STEPS = 16
"""Of 60 pairs, twice: the last batch of an epoch is short."""


class Killed(Exception):
    """Stands for a process that ends at once, wherever it is."""


class History:
    """A log in memory, cut back as a run's own is."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def __call__(self, step: int, metrics: dict[str, float]) -> None:
        self.rows.append((step, dict(metrics)))

    def state(self) -> dict[str, int]:
        return {"rows": len(self.rows)}

    def restore(self, state: dict[str, int] | None) -> None:
        del self.rows[state["rows"] if state else 0 :]


@dataclass
class Study:
    """One distillation, started as often as it takes.

    Args:
        folder: of its checkpoints.
        fall_at: the step at which the next process is killed.
        call_at: a step, and what is then called, such as a signal to this process.
        search_at: a step, and what is called in its validation.
    """

    encoder: TokenEncoder
    folder: Path
    settings: TrainingSettings = SETTINGS
    objective: Any = field(default_factory=Contrastive)
    sides: tuple[Side, ...] = ("query",)
    workers: int = 0
    seconds: float = 0.0
    ranks: Ranks = ALONE
    fall_at: int | None = None
    call_at: tuple[int, Any] | None = None
    search_at: tuple[int, Any] | None = None
    identity: str = "a study"
    history: History = field(default_factory=History)
    said: list[str] = field(default_factory=list)
    student: TokenEncoder | None = None
    done: Distilled | None = None
    interruption: Interruption = field(default_factory=Interruption)

    def run(self, interruption: Interruption | None = None, keep: bool = True) -> Distilled:
        english, coded = sentences(WORDS, 60, 0), sentences(CODED, 60, 0)
        texts = sorted(set(english))
        self.interruption = interruption or Interruption()
        self.student = self.encoder.copy()
        return distil(
            self.student,
            self.objective,
            DistillationData(
                FixedTotal(total=60, ratio=1.0).draw({"xx": 60}, [], ["xx"]),
                {"xx": Bitext("xx", tuple(english), tuple(coded))},
                {text: row for row, text in enumerate(texts)},
                {side: self.encoder.encode(texts, side) for side in self.sides},
            ),
            self.settings,
            Machine(
                accelerator="cpu",
                devices=self.ranks.world,
                workers=self.workers,
                checkpoint_seconds=self.seconds,
            ),
            seed=1,
            log=self.history,
            measure=self._measure,
            progress=self._progress,
            folder=self.folder,
            checkpoints=self.checkpoints if keep else None,
            parts={"history": self.history},
            interruption=self.interruption,
            ranks=self.ranks,
        )

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "checkpoints", self.identity, self.said.append)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        assert self.student is not None
        return {name: value.numpy() for name, value in self.student.state_dict().items()}

    def _measure(self, student: TokenEncoder, step: int) -> float:
        """A score that goes up and down."""
        if self.search_at and step == self.search_at[0]:
            self.search_at[1]()
        self.interruption.check()
        vectors = student.encode(CODED[:4], "query").vectors
        score = float(np.abs(vectors).sum() * 1e4 % 7)
        self.history(step, {"dev": score})
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
