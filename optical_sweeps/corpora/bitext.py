"""Bitext: sentences of one language and their English translations."""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


def fingerprint_of_texts(texts: Iterable[str]) -> str:
    """A content hash of a sequence of texts; their order and boundaries count."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Bitext:
    """Translation pairs of one language with English; pair k is (`translations[k]`, `english[k]`).

    Pair numbers are stable: draws, caches and logs refer to a pair by its number. The sides are tuples or
    sequences on disk (see `packed_bitext`): read a bitext of unknown size by number, iteration or slices.

    Args:
        known_fingerprint: the fingerprint of the content, if it was computed before.

    Raises:
        ValueError: the two sides have different lengths, or there is no pair.
    """

    language: str
    english: Sequence[str]
    translations: Sequence[str]
    known_fingerprint: str | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.english) != len(self.translations):
            raise ValueError(
                f"bitext {self.language}: {len(self.english)} English sentences "
                f"but {len(self.translations)} translations"
            )
        if not self.english:
            raise ValueError(f"bitext {self.language}: no pair")

    def __len__(self) -> int:
        return len(self.english)

    def fingerprint(self) -> str:
        """A hash of every pair, in order."""
        return self.known_fingerprint or fingerprint_of_texts(itertools.chain(self.english, self.translations))
