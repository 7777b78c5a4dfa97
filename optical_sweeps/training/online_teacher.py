"""A teacher that encodes in the training step."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int

from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenBatch
from optical_sweeps.training.distillation_pairs import DrawnTexts


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


def encoding_weights(encoder: TokenEncoder) -> int:
    """The weights of an encoder without its token embeddings, which cost no arithmetic."""
    parts = (encoder, encoder.backbone.get_input_embeddings())
    weights, embeddings = (sum(value.numel() for value in part.parameters()) for part in parts)
    return int(weights - embeddings)
