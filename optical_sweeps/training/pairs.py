"""Drawn pairs in training order, ready to be collated into batches.

Shape legend: B pairs of a batch, N drawn pairs, S sources of texts, D documents.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings, TokenEmbeddings
from optical_sweeps.encoders.token_encoder import Side, TokenBatch, TokenEncoder, TokenizedTexts
from optical_sweeps.interruption import ignore_signals
from optical_sweeps.objectives.interface import Documents
from optical_sweeps.training.buckets import BucketedBatches, epoch_order
from optical_sweeps.training.mined import MinedPairs
from optical_sweeps.training.padding import pad_embeddings
from optical_sweeps.training.ranks import ALONE, Ranks

__all__ = ["DistillationBatch", "DistillationPairs", "EpochBatches", "SideBatch", "batches", "pad_embeddings"]


@dataclass(frozen=True)
class SideBatch:
    """One step's pairs, encoded as one side of retrieval.

    Args:
        student: tokens of the sentences in their own languages.
        teacher: the frozen teacher's vectors of the English translations.
        student_english: the student's tokens of those translations, for objectives that need them.
    """

    student: TokenBatch
    teacher: TokenEmbeddings
    student_english: TokenBatch | None = None

    def to(self, device: torch.device) -> "SideBatch":
        english = None if self.student_english is None else self.student_english.to(device)
        return SideBatch(self.student.to(device), _moved(self.teacher, device), english)


@dataclass(frozen=True)
class DistillationBatch:
    """One step's pairs.

    Args:
        sides: the pairs as each side that the student learns.
        english: an id of each English text, the same for the same text.
        items: positions of the pairs in the draw, to name them in errors.
        weight: of this device's mean loss in the mean over devices; 1 where all have equally many pairs.
        documents: mined for the pairs, for objectives that need them.
    """

    sides: Mapping[Side, SideBatch]
    english: Int[Tensor, " B"]
    items: Int[Tensor, " B"]
    weight: float = 1.0
    documents: Documents | None = None

    def to(self, device: torch.device) -> "DistillationBatch":
        documents = self.documents
        if documents is not None:
            documents = Documents(
                _moved(documents.tokens, device), documents.candidates.to(device), documents.ids.to(device)
            )
        return dataclasses.replace(
            self,
            sides={side: batch.to(device) for side, batch in self.sides.items()},
            english=self.english.to(device),
            items=self.items.to(device),
            documents=documents,
        )


@dataclass(frozen=True, eq=False)
class DrawnTexts:
    """Some texts of several sources, such as the bitexts of several languages, without copying them.

    Args:
        source: the source of each text.
        rows: its row there.
    """

    sources: tuple[TokenizedTexts, ...]
    source: Int64[np.ndarray, " N"]
    rows: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        """Tokens of each text."""
        lengths = np.zeros(len(self), np.int64)
        for number, texts in enumerate(self.sources):
            own = self.source == number
            lengths[own] = texts.offsets[self.rows[own] + 1] - texts.offsets[self.rows[own]]
        return lengths

    def take(self, items: Sequence[int] | Int[np.ndarray, " k"]) -> TokenizedTexts:
        """The texts at these positions, in their order."""
        ids, masks = [], []
        for item in items:
            texts, row = self.sources[self.source[item]], self.rows[item]
            own = slice(texts.offsets[row], texts.offsets[row + 1])
            ids.append(texts.ids[own])
            masks.append(texts.mask[own])
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum([len(of_text) for of_text in ids], out=offsets[1:])
        return TokenizedTexts(np.concatenate(ids), np.concatenate(masks), offsets)


@dataclass(frozen=True, eq=False)
class SidePairs:
    """The drawn pairs as one side of retrieval.

    Args:
        sentences: the drawn sentences as the student's tokens, in training order.
        teacher: token vectors of the distinct English texts.
        english: the translations as the student's tokens, for objectives that need them.
    """

    sentences: DrawnTexts
    teacher: RaggedEmbeddings
    english: DrawnTexts | None = None

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        """Tokens that the student reads of each pair."""
        return self.sentences.lengths + (0 if self.english is None else self.english.lengths)


@dataclass(frozen=True, eq=False)
class DistillationPairs(Dataset[DistillationBatch]):
    """Batches of pairs by lists of positions in the draw.

    Args:
        sides: the pairs as each side that the student learns; at least one.
        english: for each drawn sentence, the row of its translation among the English texts.
        student: pads tokens into a batch.
        ranks: which devices share every batch.
        mined: the documents of each pair, for objectives that need them.
    """

    sides: Mapping[Side, SidePairs]
    english: Int64[np.ndarray, " N"]
    student: TokenEncoder = field(repr=False)
    ranks: Ranks = ALONE
    mined: MinedPairs | None = None

    def __len__(self) -> int:
        return len(self.english)

    @cached_property
    def longest(self) -> Int64[np.ndarray, " N"]:
        """Tokens of each pair's sentence, on the side where it has more."""
        longest: Int64[np.ndarray, " N"] = np.max([of.sentences.lengths for of in self.sides.values()], axis=0)
        return longest

    def tokens(self, items: Int[np.ndarray, " k"]) -> int:
        """Tokens that the student reads of these pairs, special tokens included."""
        return sum(int(of.lengths[items].sum()) for of in self.sides.values())

    def __getitem__(self, items: Sequence[int]) -> DistillationBatch:
        """This device's share of the batch of these pairs."""
        own = [items[place] for place in self.ranks.share(len(items))]
        weight = len(own) * self.ranks.world / len(items)
        # more devices than pairs: one stands in, without weight
        own = own or [items[0]]
        return DistillationBatch(
            sides={side: self._side(side, own) for side in self.sides},
            english=torch.as_tensor(self.english[own]),
            items=torch.as_tensor(own, dtype=torch.int64),
            weight=weight,
            documents=None if self.mined is None else self.mined.batch(own),
        )

    def _side(self, side: Side, items: Sequence[int]) -> SideBatch:
        of = self.sides[side]
        return SideBatch(
            student=self.student.collate(of.sentences.take(items), side),
            teacher=pad_embeddings(of.teacher, self.english[items]),
            student_english=None if of.english is None else self.student.collate(of.english.take(items), side),
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
            order = epoch_order(self.size, epoch, self.seed)
            taken = max(0, self.start - epoch * self.per_epoch)
            for first in range(taken * self.batch_size, self.size, self.batch_size):
                yield order[first : first + self.batch_size].tolist()

    def after(self, step: int) -> "EpochBatches":
        """The batches that follow the first `step` of these."""
        return EpochBatches(self.size, self.batch_size, self.epochs, self.seed, self.start + step)


def batches(dataset: Dataset[Any], sampler: EpochBatches | BucketedBatches, workers: int) -> DataLoader:
    """A loader that yields whole batches; `workers` changes its speed alone."""
    return DataLoader(
        dataset, sampler=sampler, batch_size=None, num_workers=workers, worker_init_fn=ignore_signals
    )


def _moved(tokens: TokenEmbeddings, device: torch.device) -> TokenEmbeddings:
    return TokenEmbeddings(tokens.vectors.to(device), tokens.mask.to(device))
