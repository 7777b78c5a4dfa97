"""The token index of a document set, built in parts that survive a killed process."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.retrieval.index_documents import index_documents
from optical_sweeps.retrieval.index_settings import ENCODING_BATCH, IndexSettings
from optical_sweeps.retrieval.token_index import INDEX_FORMAT, TokenIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact


@dataclass(frozen=True, eq=False)
class DocumentIndex(SharedArtifact[TokenIndex]):
    """The documents' token vectors by one encoder, whose fingerprint is `encoder_fingerprint`."""

    encoder: TokenEncoder
    encoder_fingerprint: str
    documents: Documents
    settings: IndexSettings

    kind = "index"
    recipe = INDEX_FORMAT
    in_parts = True

    def key(self) -> Mapping[str, object]:
        return {
            "encoder": self.encoder_fingerprint,
            "documents": self.documents.fingerprint(),
            "dtype": self.settings.vector_precision,
            "batch": ENCODING_BATCH,
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        with builds.progress("index") as advance:
            index_documents(
                folder, self.documents.ids, self.documents.texts, self.encoder, self.settings, advance
            )

    def load(self, folder: Path) -> TokenIndex:
        return _load(folder)

    def source(self) -> str:
        return f"{len(self.documents)} documents"


# Entries of the store never change, so a process that executes a whole sweep reads each of them once.
@lru_cache(maxsize=16)
def _load(folder: Path) -> TokenIndex:
    return TokenIndex.load(folder)
