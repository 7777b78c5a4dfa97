"""Translation tables of a study, and the code-switched bitext made from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.code_switching import CodeSwitching, Lexicon
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.word_alignment import AlignmentSettings, align_words
from optical_sweeps.retrieval.word_counts import WordCounts
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.runs.spec.run_spec import RunSpec


@dataclass(frozen=True, eq=False)
class AlignedWordCounts(SharedArtifact[WordCounts]):
    """How often words of a language and English words are aligned by the teacher's transport plans."""

    resources: SharedResources
    bitext: Bitext
    settings: AlignmentSettings

    kind = "translations"
    recipe = 3

    def key(self) -> Mapping[str, object]:
        return {
            "teacher": self.resources.teacher_fingerprint,
            "bitext": fingerprint_of_texts([*self._translations, *self._english]),
            "alignment": self.settings.facts(),
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        stored = self.resources.english_vectors(self._english, "query")
        vectors = stored.take(np.arange(len(stored)))
        with builds.progress(f"aligning {self.bitext.language}") as advance:
            counts = align_words(
                self.resources.teacher, self._translations, self._english, self.settings, vectors, advance
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


def training_bitext(spec: RunSpec, resources: SharedResources, language: str) -> Bitext:
    """The bitext a run's students are trained on: the corpus's, code-switched if the run's settings say so."""
    bitext: Bitext = spec.corpus.bitext(language)
    settings: CodeSwitching | None = spec.training.code_switching
    if settings is None:
        return bitext
    return settings.switched(bitext, _lexicon(resources, bitext, settings), spec.seed)


def _lexicon(resources: SharedResources, bitext: Bitext, settings: CodeSwitching) -> Lexicon:
    if settings.lexicon is not None:
        return settings.read(bitext.language)
    alignment = settings.alignment or AlignmentSettings()
    if not isinstance(alignment, AlignmentSettings):
        raise UserError(
            f"training.code_switching.alignment: {alignment!r} is not an AlignmentSettings; give its _target_"
        )
    counts = resources.builds.get(AlignedWordCounts(resources, bitext, alignment))
    counts = counts if settings.side == "translation" else counts.reversed()
    return counts.lexicon(settings.cumulative, settings.size)
