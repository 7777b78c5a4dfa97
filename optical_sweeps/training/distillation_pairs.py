"""Drawn pairs in training order, collated into batches.

Shape legend: B pairs of a batch, N drawn pairs, D documents.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor
from torch.utils.data import Dataset

from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenBatch, TokenizedTexts
from optical_sweeps.objectives import Documents
from optical_sweeps.training.mined_pairs import MinedPairs
from optical_sweeps.training.ranks import ALONE, Ranks
from optical_sweeps.training.stored_teacher import Teacher


@dataclass(frozen=True)
class SideBatch:
    """The pairs of one step, encoded as one side of retrieval.

    Args:
        sentences: the student's tokens of the sentences in their own languages.
        teacher: what the teacher needs of the English translations.
        english: the student's tokens of those translations, for objectives that need them.
    """

    sentences: TokenBatch
    teacher: TokenEmbeddings | TokenBatch
    english: TokenBatch | None = None

    def to(self, device: torch.device) -> "SideBatch":
        english = None if self.english is None else self.english.to(device)
        return SideBatch(self.sentences.to(device), self.teacher.to(device), english)


@dataclass(frozen=True)
class DistillationBatch:
    """The pairs of one step.

    Args:
        sides: the pairs as each side of retrieval that the student learns.
        english: an id of each English text; equal ids are the same text.
        items: positions of the pairs in the draw, to name them in errors.
        weight: weight of this device's mean loss in the mean over devices; 1 if all have equally many pairs.
        documents: documents mined for the pairs, for objectives that need them.
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
                documents.tokens.to(device), documents.candidates.to(device), documents.ids.to(device)
            )
        return dataclasses.replace(
            self,
            sides={side: batch.to(device) for side, batch in self.sides.items()},
            english=self.english.to(device),
            items=self.items.to(device),
            documents=documents,
        )

    def tensors(self) -> dict[str, Tensor]:
        """Inputs of student and teacher by name, for a file that reproduces the step."""
        tensors = {"items": self.items}
        for side, batch in self.sides.items():
            prefix = "" if len(self.sides) == 1 else f"{side}."
            tensors[f"{prefix}input_ids"] = batch.sentences.input_ids
            tensors[f"{prefix}attention_mask"] = batch.sentences.attention_mask
            if isinstance(batch.teacher, TokenEmbeddings):
                tensors[f"{prefix}teacher_vectors"] = batch.teacher.vectors
                tensors[f"{prefix}teacher_mask"] = batch.teacher.mask
        return tensors


@dataclass(frozen=True, eq=False)
class DrawnTexts:
    """Drawn texts of several sources, such as the bitexts of several languages, without copying them.

    Args:
        source: the source of each text.
        rows: its row in that source.
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
            here = self.source == number
            lengths[here] = texts.offsets[self.rows[here] + 1] - texts.offsets[self.rows[here]]
        return lengths

    def take_texts(self, items: Int64[np.ndarray, " k"]) -> "DrawnTexts":
        """The texts at these positions, without copying them."""
        return DrawnTexts(self.sources, self.source[items], self.rows[items])

    def take(self, items: Sequence[int] | Int[np.ndarray, " k"]) -> TokenizedTexts:
        """The texts at these positions, in this order."""
        ids, masks = [], []
        for item in items:
            texts, row = self.sources[self.source[item]], self.rows[item]
            tokens = slice(texts.offsets[row], texts.offsets[row + 1])
            ids.append(texts.ids[tokens])
            masks.append(texts.mask[tokens])
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum([len(text) for text in ids], out=offsets[1:])
        return TokenizedTexts(np.concatenate(ids), np.concatenate(masks), offsets)


@dataclass(frozen=True, eq=False)
class SidePairs:
    """The drawn pairs as one side of retrieval.

    Args:
        sentences: the student's tokens of the drawn sentences, in training order.
        english: the student's tokens of their translations, for objectives that need them.
    """

    sentences: DrawnTexts
    english: DrawnTexts | None = None

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " N"]:
        """Tokens that the student reads of each pair."""
        return self.sentences.lengths + (0 if self.english is None else self.english.lengths)


@dataclass(frozen=True, eq=False)
class DistillationPairs(Dataset[DistillationBatch]):
    """Batches of pairs, indexed by lists of positions in the draw.

    Args:
        sides: the pairs as each side of retrieval that the student learns; at least one.
        english: for each drawn sentence, the row of its translation among the English texts.
        student: collates its tokens into a batch.
        teacher: collates the English texts into a batch.
        ranks: the processes that share every batch.
        mined: documents of each pair, for objectives that need them.
    """

    sides: Mapping[Side, SidePairs]
    english: Int64[np.ndarray, " N"]
    student: TokenEncoder = field(repr=False)
    teacher: Teacher = field(repr=False)
    ranks: Ranks = ALONE
    mined: MinedPairs | None = None

    def __len__(self) -> int:
        return len(self.english)

    @cached_property
    def longest(self) -> Int64[np.ndarray, " N"]:
        """Tokens of each pair's sentence, on the side where it has more."""
        lengths = [pairs.sentences.lengths for pairs in self.sides.values()]
        longest: Int64[np.ndarray, " N"] = np.max(lengths, axis=0)
        return longest

    def tokens(self, items: Int[np.ndarray, " k"]) -> int:
        """Tokens that the student reads of these pairs, special tokens included."""
        return sum(int(pairs.lengths[items].sum()) for pairs in self.sides.values())

    def __getitem__(self, items: Sequence[int]) -> DistillationBatch:
        """This device's share of the batch of these pairs."""
        share = [items[place] for place in self.ranks.share(len(items))]
        weight = len(share) * self.ranks.world / len(items)
        # with more devices than pairs, a device without a pair takes the first one with weight 0
        share = share or [items[0]]
        return DistillationBatch(
            sides={side: self._side(side, pairs, share) for side, pairs in self.sides.items()},
            english=torch.as_tensor(self.english[share]),
            items=torch.as_tensor(share, dtype=torch.int64),
            weight=weight,
            documents=None if self.mined is None else self.mined.batch(share),
        )

    def _side(self, side: Side, pairs: SidePairs, items: Sequence[int]) -> SideBatch:
        collate, english = self.student.collate, pairs.english
        return SideBatch(
            sentences=collate(pairs.sentences.take(items), side),
            teacher=self.teacher.collate(self.english[items], side),
            english=None if english is None else collate(english.take(items), side),
        )
