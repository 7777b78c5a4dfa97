"""A teacher that encodes in the training step, and the choice between it and stored vectors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int

from optical_sweeps.console import size_text
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenBatch
from optical_sweeps.training.distillation_pairs import DrawnTexts

OPERATIONS_PER_SECOND = {"cpu": 5e10, "cuda": 5e13}
"""What a device is assumed to do of an encoder's forward pass."""
WRITTEN_PER_SECOND, READ_PER_SECOND = 2e8, 1e9
"""Bytes of stored vectors, on a disk and through its cache."""
MOST_BYTES = 10**11
"""Vectors of one run that are stored at most."""
TOLERANCE = 1.1
"""Stored vectors also serve other runs and epochs, so they may take somewhat longer."""


@dataclass(frozen=True, eq=False)
class OnlineTeacher:
    """A frozen teacher that encodes the English texts of every batch.

    Vectors differ from stored ones in the last bits, and with mixed precision by the step's precision.

    Args:
        encoder: on the device of the step; put into evaluation mode.
        tokens: its tokens of the distinct English texts, for each side that the student learns.
    """

    encoder: TokenEncoder
    tokens: Mapping[Side, DrawnTexts]

    def __post_init__(self) -> None:
        self.encoder.eval()

    def collate(self, rows: Int[np.ndarray, " B"], side: Side) -> TokenBatch:
        return self.encoder.collate(self.tokens[side].take(rows), side)

    @torch.no_grad()
    def __call__(self, texts: TokenEmbeddings | TokenBatch, side: Side) -> TokenEmbeddings:
        assert isinstance(texts, TokenBatch)
        embeddings: TokenEmbeddings = self.encoder(texts)
        return embeddings


@dataclass(frozen=True)
class TeacherCosts:
    """Bytes and seconds of stored vectors, and seconds of encoding in the steps; a rough estimate.

    It depends only on the run and the kind of device, so that a resumed run chooses as before.
    """

    stored_bytes: int
    stored_seconds: float
    online_seconds: float

    @classmethod
    def of(
        cls, encoder: TokenEncoder, distinct_tokens: int, used_tokens: int, bytes_per_value: int, device: str
    ) -> "TeacherCosts":
        """The costs for a run.

        Args:
            distinct_tokens: tokens of the distinct English texts.
            used_tokens: tokens of the English texts of all steps.
            device: cpu or cuda.
        """
        embeddings = encoder.backbone.get_input_embeddings()
        weights = sum(value.numel() for value in encoder.parameters())
        weights -= sum(value.numel() for value in embeddings.parameters())
        speed = OPERATIONS_PER_SECOND.get(device.split(":")[0], OPERATIONS_PER_SECOND["cpu"])
        vector = encoder.settings.dim * bytes_per_value
        stored = (
            distinct_tokens * (2 * weights / speed + vector / WRITTEN_PER_SECOND)
            + used_tokens * vector / READ_PER_SECOND
        )
        return cls(distinct_tokens * vector, stored, used_tokens * 2 * weights / speed)

    @property
    def stores(self) -> bool:
        """Whether stored vectors are the better choice."""
        return self.stored_bytes <= MOST_BYTES and self.stored_seconds <= TOLERANCE * self.online_seconds

    def line(self) -> str:
        """The choice and its reasons."""
        return (
            f"teacher: {'stored' if self.stores else 'online'}; storing its vectors takes "
            f"{size_text(self.stored_bytes)} and about {self.stored_seconds:.0f} s, encoding in the steps "
            f"about {self.online_seconds:.0f} s"
        )
