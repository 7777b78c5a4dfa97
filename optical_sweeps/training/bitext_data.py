"""The Lightning data modules of a training, and the drawn pairs of a bitext as one of them.

Shape legend: N drawn pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import lightning
import numpy as np
from jaxtyping import Int64
from torch.utils.data import DataLoader, Dataset

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.drawn_pairs import DrawnPairs
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.tokenized_texts import TokenizedTexts
from optical_sweeps.interruption import ignore_signals
from optical_sweeps.seeds import derive_seed
from optical_sweeps.training.batch_order import BatchOrder, BucketedBatches, EpochBatches
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_pairs import DistillationPairs, DrawnTexts, SidePairs
from optical_sweeps.training.mined_pairs import MinedDocuments, MinedPairs
from optical_sweeps.training.stored_teacher import Teacher
from optical_sweeps.training.training_settings import TrainingSettings

Tokenise = Callable[[TokenEncoder, Sequence[str], Side], TokenizedTexts]
"""Tokenises all sentences of a language for the student."""


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


def tokenise_now(encoder: TokenEncoder, texts: Sequence[str], side: Side) -> TokenizedTexts:
    """Tokenise in this call, without a store."""
    return encoder.tokenize_texts(texts, side)


@dataclass(frozen=True)
class DrawnBitext:
    """The bitext that a student is trained on, and the pairs that are drawn from it.

    Args:
        bitext: the bitext of each language.
        english: the row of each English text among the distinct ones, by which the teacher knows it.
        mined: documents mined for the English texts, by language, for objectives that need them.
        tokenise: tokenises sentences and translations; a store may hold the tokens already.
    """

    pairs: DrawnPairs
    bitext: Mapping[str, Bitext]
    english: Mapping[str, int]
    mined: Mapping[str, MinedDocuments] = field(default_factory=dict)
    tokenise: Tokenise = tokenise_now


class BitextDataModule(OrderedDataModule):
    """The drawn pairs of a bitext in training order.

    Args:
        sides: sides of retrieval that the student learns.
        needs: what the objective needs besides the pairs.
        seed: seed of the run.
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
    ) -> None:
        order = drawn.pairs.order(seed)
        source = drawn.pairs.language_index[order].astype(np.int64)
        rows = drawn.pairs.pairs[order].astype(np.int64)
        texts = [drawn.bitext[language].english for language in drawn.pairs.languages]
        places = zip(source.tolist(), rows.tolist(), strict=True)
        english = np.array([drawn.english[texts[number][row]] for number, row in places], np.int64)
        self.pairs = DistillationPairs(
            sides={
                side: SidePairs(
                    _drawn_texts(drawn, student, side, "translations", source, rows),
                    _drawn_texts(drawn, student, side, "english", source, rows)
                    if "student_english" in needs
                    else None,
                )
                for side in sides
            },
            english=english,
            student=student,
            teacher=teacher,
            ranks=context.ranks,
            mined=_mined_pairs(drawn, source, english) if "documents" in needs else None,
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


def _drawn_texts(
    drawn: DrawnBitext,
    student: TokenEncoder,
    side: Side,
    column: str,
    source: Int64[np.ndarray, " N"],
    rows: Int64[np.ndarray, " N"],
) -> DrawnTexts:
    """Tokens of one column of the drawn pairs; only languages with a drawn pair are tokenised."""
    used, source = np.unique(source, return_inverse=True)
    languages = [drawn.pairs.languages[number] for number in used]
    texts: list[Sequence[str]] = [getattr(drawn.bitext[language], column) for language in languages]
    return DrawnTexts(tuple(drawn.tokenise(student, each, side) for each in texts), source, rows)


def _mined_pairs(
    drawn: DrawnBitext, source: Int64[np.ndarray, " N"], english: Int64[np.ndarray, " N"]
) -> MinedPairs:
    by_language = [drawn.mined[language] for language in drawn.pairs.languages]
    collections = {mined.first_id: mined for mined in by_language}
    first_ids = sorted(collections)
    numbers = np.array([first_ids.index(mined.first_id) for mined in by_language])
    return MinedPairs(tuple(collections[number] for number in first_ids), numbers[source], english)
