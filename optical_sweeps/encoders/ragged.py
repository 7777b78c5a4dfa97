"""Offsets of texts of different lengths that lie end to end."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int64


def offsets_of(lengths: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " bounds"]:
    """Where each text begins, and the total length.

    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def take_rows(
    offsets: Int64[np.ndarray, " bounds"], texts: Sequence[int] | Int[np.ndarray, " k"]
) -> tuple[Int64[np.ndarray, " T"], Int64[np.ndarray, " new_bounds"]]:
    """The rows of these texts in their order, and the offsets of the rows so selected."""
    numbers = np.asarray(texts, np.int64)
    lengths = np.diff(offsets)[numbers]
    new_offsets = offsets_of(lengths)
    return np.arange(new_offsets[-1]) + np.repeat(offsets[numbers] - new_offsets[:-1], lengths), new_offsets
