"""Batches of pairs of like length, under a budget of tokens."""

import copy
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Sampler

from optical_sweeps.seeds import derive_seed

POOL = 100
"""So many batches' pairs are sorted by length together; only the last batch of a pool is short."""


def epoch_order(size: int, epoch: int, seed: int) -> Int64[np.ndarray, " N"]:
    """Positions in the order of an epoch: the draw's own first, then a seeded shuffle each."""
    if epoch == 0:
        return np.arange(size)
    return np.random.default_rng(derive_seed(f"epoch {epoch}", seed)).permutation(size)


class BucketedBatches(Sampler[list[int]]):
    """Lists of positions, batch by batch; every pair is in one batch of each epoch.

    An epoch has the order that it has without buckets, in pools of `POOL` times `batch_size` pairs. Pairs of a
    pool are sorted by length and cut into batches, which are shuffled. So training meets the data in the order
    of the draw but for the places within a pool, and equal draws give equal batches.

    Args:
        lengths: tokens of each pair.
        batch_size: most pairs of a batch.
        batch_tokens: most tokens of a batch that is padded to its longest pair; a longer pair stands alone.
        seed: of the shuffles.
    """

    def __init__(
        self, lengths: Int64[np.ndarray, " N"], batch_size: int, batch_tokens: int, epochs: int, seed: int
    ) -> None:
        self.lengths, self.batch_size, self.batch_tokens = lengths, batch_size, batch_tokens
        self.epochs, self.seed, self.start = epochs, seed, 0
        # an epoch's batches are cut again when it comes: a long training has many epochs
        self._ends = np.cumsum([0, *(len(self._batches(epoch)) for epoch in range(epochs))])

    def __len__(self) -> int:
        return int(self._ends[-1]) - self.start

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in range(self.epochs):
            if self._ends[epoch + 1] > self.start:
                for batch in self._batches(epoch)[max(0, self.start - int(self._ends[epoch])) :]:
                    yield batch.tolist()

    def after(self, step: int) -> "BucketedBatches":
        """The batches that follow the first `step` of these."""
        rest = copy.copy(self)
        rest.start = self.start + step
        return rest

    def _batches(self, epoch: int) -> list[Int64[np.ndarray, " _"]]:
        order = epoch_order(len(self.lengths), epoch, self.seed)
        shuffle = np.random.default_rng(derive_seed(f"buckets {epoch}", self.seed))
        found: list[Int64[np.ndarray, " _"]] = []
        size = POOL * self.batch_size
        for first in range(0, len(order), size):
            pool = order[first : first + size]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            own = np.split(pool, self._cuts(self.lengths[pool]))
            found += [own[place] for place in shuffle.permutation(len(own))]
        return found

    def _cuts(self, ascending: Int64[np.ndarray, " P"]) -> list[int]:
        """Where batches of a pool begin, but for the first."""
        cuts: list[int] = []
        start = 0
        counts = np.arange(1, self.batch_size + 1)
        while True:
            longest = ascending[start : start + self.batch_size]
            padded = longest * counts[: len(longest)]  # rises
            start += max(1, int(np.searchsorted(padded, self.batch_tokens, side="right")))
            if start >= len(ascending):
                return cuts
            cuts.append(start)
