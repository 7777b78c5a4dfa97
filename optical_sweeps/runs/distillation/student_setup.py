"""The student of a run before its training, and the Lightning modules that train it."""

from optical_sweeps.corpora.drawn_pairs import MixtureReport
from optical_sweeps.encoders.build_student import build_student
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.objectives import needs
from optical_sweeps.runs.distillation.drawn_teacher import drawn_teacher
from optical_sweeps.runs.shared.bitext_tokens import StoredTokens
from optical_sweeps.runs.shared.mined_documents import mine
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.shared.training_bitext import training_bitext
from optical_sweeps.runs.shared.vocabulary_texts import VocabularyTexts
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.bitext_data import BitextDataModule, DrawnBitext
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.distillation_module import DistillationModule


def untrained_student(spec: RunSpec, shared: SharedResources) -> TokenEncoder:
    """The student before its training."""
    reads_texts = spec.student.init == "backbone" and spec.backbone.reads_texts
    texts = VocabularyTexts(spec).texts if reads_texts else None
    return build_student(spec.student, shared.teacher, spec.backbone, texts, seed=spec.seed)


def drawn_bitext(spec: RunSpec, shared: SharedResources) -> DrawnBitext:
    """The pairs that the run draws for training."""
    drawn = spec.mixture.draw(spec.bitext_sizes(), spec.languages.high, spec.languages.low)
    bitext = {language: training_bitext(spec, shared, language) for language in spec.languages.all}
    return DrawnBitext(drawn, bitext, StoredTokens(shared.builds))


def draw_report(spec: RunSpec, drawn: DrawnBitext, student: TokenEncoder) -> MixtureReport:
    """Pairs, repetitions and student tokens of each language."""
    return drawn.pairs.report(drawn.tokens(student, "translations", spec.student.sides[0]).lengths)


def distillation(
    spec: RunSpec, shared: SharedResources, student: TokenEncoder, drawn: DrawnBitext, context: TrainingContext
) -> tuple[DistillationModule, BitextDataModule]:
    """The Lightning modules of the run's training; what they need of the drawn sentences is stored first."""
    settings, sides = spec.training, spec.student.sides
    student.freeze(embeddings=settings.freeze_embeddings, layers=settings.freeze_layers).train()
    teacher = drawn_teacher(spec, shared, drawn)
    mined = mine(spec, shared, drawn) if "documents" in needs(spec.objective) else {}
    data = BitextDataModule(
        drawn, student, teacher, sides, needs(spec.objective), settings, context, spec.seed, mined
    )
    module = DistillationModule(
        student,
        teacher,
        spec.objective,
        settings,
        steps=data.steps,
        wreck=context.folder / "wreck",
        ranks=context.ranks,
    )
    return module, data
