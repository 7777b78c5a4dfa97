"""The order of training batches: in the order of the draw, or grouped by length under a token budget.

Shape legend: N pairs, P pairs of a pool.
"""

import copy
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Sampler

from optical_sweeps.seeds import derive_seed

POOL = 100
"""Batches whose pairs are sorted by length together; only the last batch of a pool is short."""


def epoch_order(size: int, epoch: int, seed: int) -> Int64[np.ndarray, " N"]:
    """Positions in the order of an epoch: the first epoch keeps the draw's order, later ones are shuffled."""
    if epoch == 0:
        return np.arange(size)
    return np.random.default_rng(derive_seed(f"epoch {epoch}", seed)).permutation(size)


class BatchOrder(Sampler[list[int]]):
    """Lists of positions, batch by batch, epoch after epoch; every pair is in one batch of each epoch.

    Args:
        size: number of pairs.
        epochs: passes over them.
        seed: seed of the shuffles.
    """

    def __init__(self, size: int, epochs: int, seed: int) -> None:
        self.size, self.epochs, self.seed, self.start = size, epochs, seed, 0
        self._ends = np.cumsum([0, *(self._count(epoch) for epoch in range(epochs))])

    def __len__(self) -> int:
        return int(self._ends[-1]) - self.start

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in range(self.epochs):
            if self._ends[epoch + 1] > self.start:
                for batch in self._batches(epoch)[max(0, self.start - int(self._ends[epoch])) :]:
                    yield batch.tolist()

    def after(self, step: int) -> "BatchOrder":
        """The batches that follow the first `step` batches of this order."""
        rest = copy.copy(self)
        rest.start = self.start + step
        return rest

    @abstractmethod
    def _count(self, epoch: int) -> int:
        """Number of batches of an epoch."""

    @abstractmethod
    def _batches(self, epoch: int) -> list[Int64[np.ndarray, " _"]]:
        """The batches of an epoch. They are computed per epoch: a long training has many epochs."""


class EpochBatches(BatchOrder):
    """Batches of `batch_size` pairs in the order of `epoch_order`; the last batch of an epoch may be short."""

    def __init__(self, size: int, batch_size: int, epochs: int, seed: int) -> None:
        self.batch_size = batch_size
        super().__init__(size, epochs, seed)

    def _count(self, epoch: int) -> int:
        return -(-self.size // self.batch_size)

    def _batches(self, epoch: int) -> list[Int64[np.ndarray, " _"]]:
        order = epoch_order(self.size, epoch, self.seed)
        return np.split(order, range(self.batch_size, self.size, self.batch_size))


class BucketedBatches(BatchOrder):
    """Batches of pairs of similar length.

    An epoch keeps the order of `epoch_order` in pools of `POOL * batch_size` pairs. The pairs of a pool are
    sorted by length and cut into batches, which are then shuffled. Training therefore reads the data in the
    order of the draw, except within a pool, and equal draws give equal batches.

    Args:
        lengths: tokens of each pair.
        batch_size: largest number of pairs in a batch.
        batch_tokens: largest number of tokens in a batch that is padded to its longest pair; a longer pair gets
            a batch to itself.
    """

    def __init__(
        self, lengths: Int64[np.ndarray, " N"], batch_size: int, batch_tokens: int, epochs: int, seed: int
    ) -> None:
        self.lengths, self.batch_size, self.batch_tokens = lengths, batch_size, batch_tokens
        super().__init__(len(lengths), epochs, seed)

    def _count(self, epoch: int) -> int:
        return len(self._batches(epoch))

    def _batches(self, epoch: int) -> list[Int64[np.ndarray, " _"]]:
        order = epoch_order(self.size, epoch, self.seed)
        shuffle = np.random.default_rng(derive_seed(f"buckets {epoch}", self.seed))
        batches: list[Int64[np.ndarray, " _"]] = []
        pool_size = POOL * self.batch_size
        for first in range(0, len(order), pool_size):
            pool = order[first : first + pool_size]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            cut = np.split(pool, self._cuts(self.lengths[pool]))
            batches += [cut[place] for place in shuffle.permutation(len(cut))]
        return batches

    def _cuts(self, ascending: Int64[np.ndarray, " P"]) -> list[int]:
        """Positions at which all batches of a pool but the first begin."""
        cuts: list[int] = []
        start = 0
        counts = np.arange(1, self.batch_size + 1)
        while True:
            longest = ascending[start : start + self.batch_size]
            padded = longest * counts[: len(longest)]  # ascending, so that a binary search applies
            start += max(1, int(np.searchsorted(padded, self.batch_tokens, side="right")))
            if start >= len(ascending):
                return cuts
            cuts.append(start)
