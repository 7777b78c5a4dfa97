"""One integer for (score, document): larger is better, and no two are equal, so their order is the ranking."""

from threading import Lock

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

NOTHING = -(2**63)
_LOW_BITS = 2**32 - 1


def keys(scores: Float[Tensor, "nq nd"], id_ranks: Int64[Tensor, " nd"]) -> Int64[Tensor, "nq nd"]:
    """Keys of scores (not NaN); of two equal scores, the document earlier in the order of ids is better."""
    bits = (scores + 0.0).view(torch.int32)  # adding 0 turns -0 into 0
    ordered = bits ^ ((bits >> 31) & 0x7FFF_FFFF)
    return (ordered.long() << 32) | (_LOW_BITS - id_ranks)


def unpack(keys: Int64[np.ndarray, " k"]) -> tuple[Int64[np.ndarray, " k"], np.ndarray]:
    """Id ranks and float32 scores of keys."""
    ordered = (keys >> 32).astype(np.int32)
    bits = ordered ^ ((ordered >> 31) & 0x7FFF_FFFF)
    return _LOW_BITS - (keys & _LOW_BITS), bits.view(np.float32)


class Best:
    """The k best keys of each query of a tile so far; several threads may add to them."""

    def __init__(self, queries: int, k: int, device: str = "cpu") -> None:
        self.k = k
        self._keys = torch.full((queries, k), NOTHING, dtype=torch.int64, device=device)
        self._lock = Lock()

    def merge(self, found: Int64[Tensor, "nq m"]) -> None:
        """Add keys of all queries."""
        found = found.topk(min(self.k, found.shape[1]), dim=1).values  # outside the lock: most of the work
        with self._lock:
            self._keys = torch.cat([self._keys, found], dim=1).topk(self.k, dim=1).values

    def merge_one(self, query: int, found: Int64[Tensor, " m"]) -> None:
        """Add keys of one query."""
        with self._lock:
            self._keys[query] = torch.cat([self._keys[query], found]).topk(self.k).values

    def floors(self) -> Float32[np.ndarray, " nq"]:
        """The score that a document needs at least to be among the best of each query."""
        worst = self._keys[:, -1].numpy()
        return np.where(worst == NOTHING, np.float32(-np.inf), unpack(worst)[1])

    def floor(self, query: int) -> float:
        """The same of one query."""
        return float(self.floors()[query])

    def rows(self) -> list[Int64[np.ndarray, " _"]]:
        """The best of each query, best first, at most k."""
        return [row[row != NOTHING] for row in self._keys.cpu().numpy()]
