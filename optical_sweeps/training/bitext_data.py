"""The Lightning data modules of a training, and the drawn pairs of a bitext as one of them.

Shape legend: N items of a draw, D distinct pairs among them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from types import MappingProxyType
from typing import Literal, overload

import lightning
import numpy as np
from jaxtyping import Int64
from torch.utils.data import DataLoader, Dataset

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.sentence_hashes import sentence_hashes
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import ignore_signals
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.batch_order import BatchOrder, BucketedBatches, EpochBatches
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_pairs import DistillationPairs, DrawnTexts, SidePairs
from optical_sweeps.training.mined_pairs import MinedDocuments, MinedPairs
from optical_sweeps.training.stored_teacher import Teacher
from optical_sweeps.training.training_settings import TrainingSettings

Column = Literal["english", "translations"]
Tokenise = Callable[[TokenEncoder, Sequence[str], Side], DrawnTexts]
"""Tokenises sentences for an encoder."""


class OrderedDataModule(lightning.LightningDataModule):
    """Batches of a dataset in a fixed order, from any step on.

    Args:
        dataset: its items are whole batches, indexed by lists of positions.
    """

    def __init__(self, dataset: Dataset[object], order: BatchOrder, workers: int) -> None:
        super().__init__()
        self.dataset, self.order, self.workers = dataset, order, workers
        self.first_step = 0

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return len(self.order)

    @property
    def steps_left(self) -> int:
        return len(self.order) - self.first_step

    def train_dataloader(self) -> DataLoader[object]:
        """The batches after the first `first_step`; the number of workers changes only the speed."""
        return DataLoader(
            self.dataset,
            sampler=self.order.after(self.first_step),
            batch_size=None,
            num_workers=self.workers,
            worker_init_fn=ignore_signals,
        )


def tokenise_now(encoder: TokenEncoder, texts: Sequence[str], side: Side) -> DrawnTexts:
    """Tokenise in this call, without a store."""
    numbers = np.arange(len(texts))
    return DrawnTexts((encoder.tokenize_texts(texts, side),), np.zeros_like(numbers), numbers)


@dataclass(frozen=True, eq=False)
class DrawnBitext:
    """The pairs that are drawn from the bitext of some languages; other pairs are never read.

    Args:
        bitext: the bitext of each language.
        tokenise: tokenises sentences and translations; a store may hold the tokens already.
    """

    pairs: DrawnPairs
    bitext: Mapping[str, Bitext]
    tokenise: Tokenise = tokenise_now

    @cached_property
    def english(self) -> "DrawnColumn":
        """The distinct English texts of the drawn pairs."""
        return self._column("english").take(self._distinct_english[0])

    @cached_property
    def english_of_items(self) -> Int64[np.ndarray, " N"]:
        """For each item of the draw, the row of its English text in `english`."""
        rows: np.ndarray = self._distinct_english[1][self._places]
        return rows

    def english_rows(self, language: str) -> Int64[np.ndarray, " k"]:
        """The rows in `english` of the texts that are drawn with a language."""
        number = self.pairs.languages.index(language)
        rows: np.ndarray = np.unique(self.english_of_items[self.pairs.language_index == number])
        return rows

    def tokens(self, encoder: TokenEncoder, column: Column, side: Side) -> DrawnTexts:
        """The tokens of one column of the items of the draw; a text that is drawn twice is tokenised once."""
        return self.tokenise(encoder, self._column(column), side).take_texts(self._places)

    def _column(self, column: Column) -> "DrawnColumn":
        sides = tuple(getattr(self.bitext[language], column) for language in self.pairs.languages)
        source, rows = self._distinct
        return DrawnColumn(sides, source, rows)

    @cached_property
    def _distinct(self) -> tuple[Int64[np.ndarray, " D"], Int64[np.ndarray, " D"]]:
        """Language and number of each distinct pair."""
        first = np.unique(self._pair_keys, return_index=True)[1]
        return self.pairs.language_index[first].astype(np.int64), self.pairs.pairs[first].astype(np.int64)

    @cached_property
    def _places(self) -> Int64[np.ndarray, " N"]:
        """The distinct pair of each item."""
        places: np.ndarray = np.unique(self._pair_keys, return_inverse=True)[1]
        return places

    @cached_property
    def _pair_keys(self) -> Int64[np.ndarray, " N"]:
        languages = len(self.pairs.languages)
        keys: np.ndarray = self.pairs.pairs.astype(np.int64) * languages + self.pairs.language_index
        return keys

    @cached_property
    def _distinct_english(self) -> tuple[Int64[np.ndarray, " E"], Int64[np.ndarray, " D"]]:
        """A distinct pair with each English text, and the English text of each distinct pair."""
        hashes = sentence_hashes(self._column("english"))
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        return first, inverse


@dataclass(frozen=True, eq=False)
class DrawnColumn(Sequence[str]):
    """Texts of several sequences, read at each access; text i is `sides[source[i]][rows[i]]`."""

    sides: tuple[Sequence[str], ...]
    source: Int64[np.ndarray, " D"]
    rows: Int64[np.ndarray, " D"]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        text: str = self.sides[self.source[index]][int(self.rows[index])]
        return text

    def take(self, places: Int64[np.ndarray, " k"]) -> "DrawnColumn":
        """The texts at these places."""
        return DrawnColumn(self.sides, self.source[places], self.rows[places])


class BitextDataModule(OrderedDataModule):
    """The drawn pairs of a bitext in training order.

    Args:
        sides: sides of retrieval that the student learns.
        needs: what the objective needs besides the pairs.
        seed: seed of the run.
        mined: documents mined for the English texts, by language, for objectives that need them.
    """

    def __init__(
        self,
        drawn: DrawnBitext,
        student: TokenEncoder,
        teacher: Teacher,
        sides: Sequence[Side],
        needs: frozenset[str],
        settings: TrainingSettings,
        context: TrainingContext,
        seed: int,
        mined: Mapping[str, MinedDocuments] = MappingProxyType({}),
    ) -> None:
        order = drawn.pairs.order(seed)
        english = drawn.english_of_items[order]

        def texts(column: Column, side: Side) -> DrawnTexts:
            return drawn.tokens(student, column, side).take_texts(order)

        self.pairs = DistillationPairs(
            sides={
                side: SidePairs(
                    texts("translations", side), texts("english", side) if "student_english" in needs else None
                )
                for side in sides
            },
            english=english,
            student=student,
            teacher=teacher,
            ranks=context.ranks,
            mined=_mined_pairs(drawn.pairs, mined, order, english) if "documents" in needs else None,
        )
        super().__init__(self.pairs, _batch_order(self.pairs, settings, seed), context.machine.workers)

    def seen(self, steps: int) -> tuple[int, int]:
        """Pairs and student tokens of the first `steps` steps."""
        items = np.fromiter(chain.from_iterable(islice(iter(self.order), steps)), np.int64)
        return len(items), self.pairs.tokens(items)


def _batch_order(pairs: DistillationPairs, settings: TrainingSettings, seed: int) -> BatchOrder:
    seed = derive_seed("batches", seed)
    if settings.batch_tokens is None:
        return EpochBatches(len(pairs), settings.batch_size, settings.epochs, seed)
    return BucketedBatches(pairs.longest, settings.batch_size, settings.batch_tokens, settings.epochs, seed)


def _mined_pairs(
    pairs: DrawnPairs,
    mined: Mapping[str, MinedDocuments],
    order: Int64[np.ndarray, " N"],
    english: Int64[np.ndarray, " N"],
) -> MinedPairs:
    by_language = [mined[language] for language in pairs.languages]
    collections = {each.first_id: each for each in by_language}
    first_ids = sorted(collections)
    numbers = np.array([first_ids.index(each.first_id) for each in by_language])
    source = numbers[pairs.language_index[order]]
    return MinedPairs(tuple(collections[number] for number in first_ids), source, english)
