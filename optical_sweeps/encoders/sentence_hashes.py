"""Hashes of sentences, by which stored vectors and tokens are found."""

import hashlib
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

HASH = np.dtype("S16")
SentenceHashes: TypeAlias = np.ndarray
"""One `HASH` for each sentence."""


def sentence_hashes(texts: Iterable[str]) -> SentenceHashes:
    """A 128-bit hash of each text.

    >>> one, other, same = sentence_hashes(["a", "b", "a"])
    >>> one == same, one == other
    (True, False)
    """
    digests = (hashlib.blake2b(text.encode(), digest_size=HASH.itemsize).digest() for text in texts)
    return np.frombuffer(b"".join(digests), HASH)
