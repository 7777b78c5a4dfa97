"""Drawn pairs in training order, ready to be collated into batches."""

import dataclasses
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
from optical_sweeps.training.interruption import ignore_signals
from optical_sweeps.training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class DistillationBatch:
    """One step's pairs.

    Args:
        student: tokens of the sentences in their own languages.
        teacher: the frozen teacher's vectors of the English translations.
        english: an id of each English text, the same for the same text.
        items: positions of the pairs in the draw, to name them in errors.
        weight: of this device's mean loss in the mean over devices; 1 where all have equally many pairs.
    """

    student: TokenBatch
    teacher: TokenEmbeddings
    english: Int[Tensor, " B"]
    items: Int[Tensor, " B"]
    weight: float = 1.0

    def to(self, device: torch.device) -> "DistillationBatch":
        teacher = TokenEmbeddings(self.teacher.vectors.to(device), self.teacher.mask.to(device))
        return dataclasses.replace(
            self,
            student=self.student.to(device),
            teacher=teacher,
            english=self.english.to(device),
            items=self.items.to(device),
        )


class DistillationPairs(Dataset[DistillationBatch]):
    """Batches of pairs by lists of positions in the draw.

    Args:
        sentences: the drawn sentences as the student's tokens, in training order.
        english: for each drawn sentence, the row of its translation in `teacher`.
        teacher: token vectors of the distinct English texts.
        student: pads tokens into a batch.
        ranks: which devices share every batch.
    """

    def __init__(
        self,
        sentences: TokenizedTexts,
        english: np.ndarray,
        teacher: RaggedEmbeddings,
        student: TokenEncoder,
        ranks: Ranks = ALONE,
    ) -> None:
        self.sentences = sentences
        self.english = english
        self.teacher = teacher
        self.student = student
        self.ranks = ranks

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, items: Sequence[int]) -> DistillationBatch:
        """This device's share of the batch of these pairs."""
        own = [items[place] for place in self.ranks.share(len(items))]
        weight = len(own) * self.ranks.world / len(items)
        # more devices than pairs: one stands in, without weight
        items = own or [items[0]]
        rows = self.english[items]
        return DistillationBatch(
            student=self.student.collate(self.sentences.take(items), "query"),
            teacher=pad_embeddings(self.teacher, rows),
            english=torch.as_tensor(rows, dtype=torch.int64),
            items=torch.as_tensor(items, dtype=torch.int64),
            weight=weight,
        )


class EpochBatches(Sampler[list[int]]):
    """Lists of positions, batch by batch: the draw's own order first, then a seeded shuffle an epoch.

    Args:
        start: how many batches have been taken before; the others are as they would have been.
    """

    def __init__(self, size: int, batch_size: int, epochs: int, seed: int, start: int = 0) -> None:
        self.size, self.batch_size, self.epochs, self.seed = size, batch_size, epochs, seed
        self.start = start
        self.per_epoch = -(-size // batch_size)

    def __len__(self) -> int:
        return self.epochs * self.per_epoch - self.start

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in range(self.start // self.per_epoch, self.epochs):
            order = self._order(epoch)
            taken = max(0, self.start - epoch * self.per_epoch)
            for first in range(taken * self.batch_size, self.size, self.batch_size):
                yield order[first : first + self.batch_size].tolist()

    def after(self, step: int) -> "EpochBatches":
        """The batches that follow the first `step` of these."""
        return EpochBatches(self.size, self.batch_size, self.epochs, self.seed, self.start + step)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch == 0:
            return np.arange(self.size)
        return np.random.default_rng(derive_seed(f"epoch {epoch}", self.seed)).permutation(self.size)


def batches(dataset: Dataset[Any], sampler: EpochBatches, workers: int) -> DataLoader:
    """A loader that yields whole batches; `workers` changes its speed alone."""
    return DataLoader(
        dataset, sampler=sampler, batch_size=None, num_workers=workers, worker_init_fn=ignore_signals
    )


def pad_embeddings(ragged: RaggedEmbeddings, rows: np.ndarray) -> TokenEmbeddings:
    """Token vectors of some texts as one padded batch."""
    starts, ends = ragged.offsets[rows], ragged.offsets[rows + 1]
    lengths = ends - starts
    position = np.arange(max(1, lengths.max()))
    mask = position < lengths[:, None]
    source = np.where(mask, starts[:, None] + position, 0)
    vectors = np.where(mask[..., None], ragged.vectors[source], np.float32(0))
    return TokenEmbeddings(torch.from_numpy(vectors.astype(np.float32)), torch.from_numpy(mask))
