"""Claims: which process computes which sentences, so that processes that work side by side share the work.

<root>/<kind>/.<name>.claims          held for the moments in which a process claims sentences
<root>/<kind>/.<name>.claim-<random>  the claimed sentences' hashes; held by its process until they are stored
"""

import fcntl
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from optical_sweeps.encoders.sentence_hashes import HASH, SentenceHashes

Select = Callable[[SentenceHashes], SentenceHashes]
"""Chooses the sentences to claim, given those that other processes have claimed."""


class Claims:
    """The claims on sentences of one collection.

    Args:
        folder: where the files of the claims are.
        name: of the collection.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def claim(self, select: Select) -> Iterator[SentenceHashes]:
        """Claim what `select` chooses within the block."""
        with (self.folder / f".{self.name}.claims").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            chosen = select(self._others())
            path = self.folder / f".{self.name}.claim-{uuid.uuid4().hex}"
            file = path.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(chosen.tobytes())
            file.flush()
        try:
            yield chosen
        finally:
            path.unlink(missing_ok=True)
            file.close()

    def _others(self) -> SentenceHashes:
        """The sentences that living processes have claimed; claims of dead ones are removed."""
        claimed = [np.zeros(0, HASH)]
        for path in self.folder.glob(f".{self.name}.claim-*"):
            try:
                with path.open("rb") as file:
                    if _is_free(file):
                        path.unlink(missing_ok=True)
                    else:
                        claimed.append(np.frombuffer(file.read(), HASH))
            except FileNotFoundError:
                continue
        return np.concatenate(claimed)


def _is_free(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
