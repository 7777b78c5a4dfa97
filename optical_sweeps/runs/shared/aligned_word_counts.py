"""How often words of a language and English words are aligned, by the teacher's transport plans."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.sharded_embeddings import ShardedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.retrieval.word_alignment import AlignmentSettings, align_words
from optical_sweeps.retrieval.word_counts import WordCounts
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact

EnglishVectors = Callable[[Sequence[str], Side], ShardedEmbeddings]


@dataclass(frozen=True, eq=False)
class AlignedWordCounts(SharedArtifact[WordCounts]):
    """How often words of a language and English words are aligned in a bitext.

    Args:
        english_vectors: the teacher's token vectors of English texts.
    """

    teacher: TokenEncoder
    teacher_fingerprint: str
    english_vectors: EnglishVectors
    bitext: Bitext
    settings: AlignmentSettings

    kind = "translations"
    recipe = 3

    def key(self) -> Mapping[str, object]:
        return {
            "teacher": self.teacher_fingerprint,
            "bitext": fingerprint_of_texts([*self._translations, *self._english]),
            "alignment": self.settings.facts(),
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        stored = self.english_vectors(self._english, "query")
        vectors = stored.take(np.arange(len(stored)))
        with builds.progress(f"aligning {self.bitext.language}") as advance:
            counts = align_words(
                self.teacher, self._translations, self._english, self.settings, vectors, advance
            )
        counts.save(folder)

    def load(self, folder: Path) -> WordCounts:
        return WordCounts.load(folder)

    def source(self) -> str:
        return f"{len(self._pairs)} pairs of {self.bitext.language}"

    @cached_property
    def _pairs(self) -> Int64[np.ndarray, " k"]:
        return self.settings.drawn(len(self.bitext))

    @cached_property
    def _translations(self) -> list[str]:
        return [self.bitext.translations[pair] for pair in self._pairs]

    @cached_property
    def _english(self) -> list[str]:
        return [self.bitext.english[pair] for pair in self._pairs]
