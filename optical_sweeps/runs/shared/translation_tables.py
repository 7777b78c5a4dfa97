"""Translation tables of a study, in the artifact store, and the code-switched bitext that is made by them."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import echo, progress
from optical_sweeps.corpora.bitext import Bitext, fingerprint_of_texts
from optical_sweeps.corpora.code_switching import CodeSwitching, Lexicon
from optical_sweeps.encoders.checkpoints import fingerprint
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.retrieval.translation_table import WordCounts
from optical_sweeps.retrieval.word_alignment import AlignmentSettings, align_words
from optical_sweeps.runs.shared.prepare import Shared
from optical_sweeps.runs.spec.run_spec import RunSpec

RECIPE = 2
"""Raised when a change of code changes what an unchanged key builds."""


def word_counts(
    store: ArtifactStore, shared: Shared, bitext: Bitext, settings: AlignmentSettings
) -> WordCounts:
    """How often the words of a language and English were aligned in bitext by the teacher's transport plans."""
    drawn = settings.drawn(len(bitext))
    own = [bitext.translations[pair] for pair in drawn]
    english = [bitext.english[pair] for pair in drawn]
    key = {
        "recipe": RECIPE,
        "teacher": fingerprint(shared.teacher),
        "bitext": fingerprint_of_texts([*own, *english]),
        "alignment": settings.facts(),
    }

    def build(folder: Path) -> None:
        start = time.perf_counter()
        vectors = _rows_of(shared.vectors, [shared.english[text] for text in english])
        with progress(f"aligning {bitext.language}") as advance:
            counts = align_words(shared.teacher, own, english, settings, vectors, advance)
        counts.save(folder)
        words = f"{len(counts.source)} words of {bitext.language}"
        echo(f"translations: {words} from {len(own)} pairs in {time.perf_counter() - start:.1f} s")

    return WordCounts.load(store.get_or_build("translations", key, build))


def training_bitext(spec: RunSpec, shared: Shared, language: str) -> Bitext:
    """What a run's students are trained on: the corpus's bitext, code-switched where the run asks for that."""
    bitext: Bitext = spec.corpus.bitext(language)
    settings: CodeSwitching | None = spec.training.code_switching
    if settings is None:
        return bitext
    return settings.switched(bitext, _lexicon(spec, shared, bitext, settings), spec.seed)


def _lexicon(spec: RunSpec, shared: Shared, bitext: Bitext, settings: CodeSwitching) -> Lexicon:
    if settings.lexicon is not None:
        return settings.read(bitext.language)
    store = ArtifactStore(spec.artifacts, announce=echo)
    counts = word_counts(store, shared, bitext, settings.alignment or AlignmentSettings())
    from_own = settings.side == "translation"
    table = (counts if from_own else counts.reversed()).table()
    return table.pruned(settings.cumulative, settings.size).lexicon()


def _rows_of(vectors: RaggedEmbeddings, rows: Sequence[int]) -> RaggedEmbeddings:
    """The vectors of these texts, in their order."""
    lengths = np.diff(vectors.offsets)[rows]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    source = np.arange(offsets[-1]) + np.repeat(vectors.offsets[rows] - offsets[:-1], lengths)
    return RaggedEmbeddings(np.asarray(vectors.vectors[source]), offsets)
