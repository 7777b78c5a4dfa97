"""The teacher's token vectors of the English side of the bitext."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.stored_vectors import load_vectors, write_vectors
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact


@dataclass(frozen=True, eq=False)
class TeacherVectors(SharedArtifact[RaggedEmbeddings]):
    """Token vectors of English texts, encoded as queries or as documents."""

    teacher: TokenEncoder
    teacher_fingerprint: str
    texts: tuple[str, ...]
    side: Side

    kind = "english"
    recipe = 2

    @property
    def part(self) -> str:
        return "english" if self.side == "query" else "english_documents"

    def key(self) -> Mapping[str, object]:
        return {
            "teacher": self.teacher_fingerprint,
            "texts": fingerprint_of_texts(self.texts),
            "side": self.side,
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        with builds.progress(self.part) as advance:
            write_vectors(folder, self.teacher, self.texts, self.side, advance)

    def load(self, folder: Path) -> RaggedEmbeddings:
        return _load(folder)

    def source(self) -> str:
        return f"{len(self.texts)} English texts"


# Entries of the store never change, so a process that executes a whole sweep reads each of them once.
@lru_cache(maxsize=2)
def _load(folder: Path) -> RaggedEmbeddings:
    return load_vectors(folder)
