"""Drawn pairs in training order, ready to be collated into batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenBatch, TokenEncoder, TokenizedTexts
from optical_sweeps.seeds import derive_seed


@dataclass(frozen=True)
class DistillationBatch:
    """One step's pairs.

    Args:
        student: tokens of the sentences in their own languages.
        teacher: the frozen teacher's vectors of the English translations.
        english: an id of each English text, the same for the same text.
        items: positions of the pairs in the draw, to name them in errors.
    """

    student: TokenBatch
    teacher: TokenEmbeddings
    english: Int[Tensor, " B"]
    items: Int[Tensor, " B"]

    def to(self, device: torch.device) -> "DistillationBatch":
        teacher = TokenEmbeddings(self.teacher.vectors.to(device), self.teacher.mask.to(device))
        return DistillationBatch(
            self.student.to(device), teacher, self.english.to(device), self.items.to(device)
        )


class DistillationPairs(Dataset[DistillationBatch]):
    """Batches of pairs by lists of positions in the draw.

    Args:
        sentences: the drawn sentences as the student's tokens, in training order.
        english: for each drawn sentence, the row of its translation in `teacher`.
        teacher: token vectors of the distinct English texts.
        student: pads tokens into a batch.
    """

    def __init__(
        self,
        sentences: TokenizedTexts,
        english: np.ndarray,
        teacher: RaggedEmbeddings,
        student: TokenEncoder,
    ) -> None:
        self.sentences = sentences
        self.english = english
        self.teacher = teacher
        self.student = student

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, items: Sequence[int]) -> DistillationBatch:
        rows = self.english[items]
        return DistillationBatch(
            student=self.student.collate(self.sentences.take(items), "query"),
            teacher=pad_embeddings(self.teacher, rows),
            english=torch.as_tensor(rows, dtype=torch.int64),
            items=torch.as_tensor(items, dtype=torch.int64),
        )


class EpochBatches(Sampler[list[int]]):
    """Lists of positions, batch by batch: the draw's own order first, then a seeded shuffle an epoch."""

    def __init__(self, size: int, batch_size: int, epochs: int, seed: int) -> None:
        self.size, self.batch_size, self.epochs, self.seed = size, batch_size, epochs, seed

    def __len__(self) -> int:
        return self.epochs * -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in range(self.epochs):
            order = self._order(epoch)
            for start in range(0, self.size, self.batch_size):
                yield order[start : start + self.batch_size].tolist()

    def _order(self, epoch: int) -> np.ndarray:
        if epoch == 0:
            return np.arange(self.size)
        return np.random.default_rng(derive_seed(f"epoch {epoch}", self.seed)).permutation(self.size)


def batches(dataset: Dataset[Any], sampler: EpochBatches, workers: int) -> DataLoader:
    """A loader that yields whole batches; `workers` changes its speed alone."""
    return DataLoader(dataset, sampler=sampler, batch_size=None, num_workers=workers)


def pad_embeddings(ragged: RaggedEmbeddings, rows: np.ndarray) -> TokenEmbeddings:
    """Token vectors of some texts as one padded batch."""
    starts, ends = ragged.offsets[rows], ragged.offsets[rows + 1]
    lengths = ends - starts
    position = np.arange(max(1, lengths.max()))
    mask = position < lengths[:, None]
    source = np.where(mask, starts[:, None] + position, 0)
    vectors = np.where(mask[..., None], ragged.vectors[source], np.float32(0))
    return TokenEmbeddings(torch.from_numpy(vectors.astype(np.float32)), torch.from_numpy(mask))
