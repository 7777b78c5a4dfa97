"""One integer for (score, document): larger is better and no two are equal, so their order is the ranking."""

from threading import Lock

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

EMPTY = -(2**63)
_LOW_BITS = 2**32 - 1


def keys(scores: Float[Tensor, "nq nd"], id_ranks: Int64[Tensor, " nd"]) -> Int64[Tensor, "nq nd"]:
    """Keys of scores (not NaN); of two equal scores, the one whose document comes first by id is better."""
    bits = (scores + 0.0).view(torch.int32)  # adding 0 turns -0 into 0
    ordered = bits ^ ((bits >> 31) & 0x7FFF_FFFF)
    return (ordered.long() << 32) | (_LOW_BITS - id_ranks)


def unpack(keys: Int64[np.ndarray, " k"]) -> tuple[Int64[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
    """Id ranks and scores of keys."""
    ordered = (keys >> 32).astype(np.int32)
    bits = ordered ^ ((ordered >> 31) & 0x7FFF_FFFF)
    return _LOW_BITS - (keys & _LOW_BITS), bits.view(np.float32)


def best_documents(
    scores: Float32[np.ndarray, " nd"], id_ranks: Int64[np.ndarray, " nd"], k: int
) -> tuple[Int64[np.ndarray, " _"], Float32[np.ndarray, " _"]]:
    """Id ranks and scores of the k best documents of one query, best first; ties in the order of ids."""
    order = np.lexsort((id_ranks, -scores))[:k]
    return id_ranks[order], scores[order]


class Best:
    """The k best keys so far of each query of a tile; threads may add keys concurrently."""

    def __init__(self, queries: int, k: int, device: str = "cpu") -> None:
        self.k = k
        self._keys = torch.full((queries, k), EMPTY, dtype=torch.int64, device=device)
        self._lock = Lock()

    def merge(self, keys: Int64[Tensor, "nq m"]) -> None:
        """Add keys of all queries."""
        best = keys.topk(min(self.k, keys.shape[1]), dim=1).values  # most of the work, so outside the lock
        with self._lock:
            self._keys = torch.cat([self._keys, best], dim=1).topk(self.k, dim=1).values

    def merge_one(self, query: int, keys: Int64[Tensor, " m"]) -> None:
        """Add keys of one query."""
        with self._lock:
            self._keys[query] = torch.cat([self._keys[query], keys]).topk(self.k).values

    def floors(self) -> Float32[np.ndarray, " nq"]:
        """The minimum score with which a document enters the best of each query."""
        worst = self._keys[:, -1].numpy()
        return np.where(worst == EMPTY, np.float32(-np.inf), unpack(worst)[1])

    def rows(self) -> list[Int64[np.ndarray, " _"]]:
        """The best keys of each query, best first, at most k."""
        return [row[row != EMPTY] for row in self._keys.cpu().numpy()]
