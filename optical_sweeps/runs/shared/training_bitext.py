"""The bitext of a run's students, code-switched by translation tables if its settings say so."""

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.code_switching import CodeSwitching, Lexicon
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.word_alignment import AlignmentSettings
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.spec.run_spec import RunSpec


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
    counts = resources.builds.get(resources.word_counts(bitext, alignment))
    counts = counts if settings.side == "translation" else counts.reversed()
    return counts.lexicon(settings.cumulative, settings.size)
