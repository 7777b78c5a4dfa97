"""A collection's token index in the artifact store: built once, in parts that outlive a killed builder."""

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import Advance, echo, progress
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.retrieval.build import index_documents
from optical_sweeps.retrieval.index import INDEX_FORMAT, TokenIndex
from optical_sweeps.retrieval.settings import IndexSettings


def document_index(
    store: ArtifactStore,
    encoder: TokenEncoder,
    encoder_print: str,
    documents: Documents,
    settings: IndexSettings,
    built: dict[str, float] | None = None,
    checked: Callable[[Advance], Advance] = lambda advance: advance,
) -> Path:
    """The folder of the documents' token vectors by this encoder, in the store or built into it.

    Args:
        encoder_print: the encoder's fingerprint.
        built: told the seconds under `index`, where it had to be built.
        checked: what a report of progress passes through, such as `Interruption.checked`.
    """
    key = {
        "format": INDEX_FORMAT,
        "teacher": encoder_print,
        "documents": documents.fingerprint(),
        "dtype": settings.numbers,
    }

    def build(folder: Path) -> None:
        start = time.perf_counter()
        with progress("index") as advance:
            index_documents(folder, documents.ids, documents.texts, encoder, settings, checked(advance))
        seconds = time.perf_counter() - start
        if built is not None:
            built["index"] = seconds
        echo(f"index: built from {len(documents)} documents in {seconds:.1f} s")

    return store.get_or_build_in_parts("index", key, build)


# Entries of the store never change, so a process that runs a whole sweep reads each of them once.
@lru_cache(maxsize=16)
def load_index(folder: Path) -> TokenIndex:
    """The index of an entry of the store."""
    return TokenIndex.load(folder)
