"""The teacher of a study: trained here, or loaded from the checkpoint of another program."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from optical_sweeps.console import echo
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.triples import Triples
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.saved_encoders import fingerprint, load_encoder, save_encoder
from optical_sweeps.encoders.teacher_checkpoint import ColbertTeacher
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs.shared.hard_negatives import HardNegatives
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.runs.shared.vocabulary_texts import VocabularyTexts
from optical_sweeps.runs.spec.identity import fact
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.context import TrainingContext
from optical_sweeps.training.teacher_settings import TeacherSettings
from optical_sweeps.training.training_checkpoints import TrainingCheckpoints


def teacher_folder(spec: RunSpec, builds: ArtifactBuilds, texts: VocabularyTexts) -> Path:
    """The store's entry of the study's teacher, built if necessary.

    Args:
        texts: every text of the study, for a vocabulary fitted to them.

    Raises:
        Interrupted: the process was asked to stop; the next call resumes the training.
    """
    if not spec.teacher.uses_backbone:
        return builds.folder(LoadedTeacher(spec))
    teacher = TrainedTeacher(spec, texts)
    folder = builds.folder(teacher)
    if teacher.part in builds.seconds:
        teacher.checkpoints(builds).remove()
    return folder


# Entries of the store never change, so a process that executes a whole sweep reads each of them once.
@lru_cache(maxsize=2)
def load_teacher(folder: Path) -> TokenEncoder:
    """The encoder of a teacher's entry."""
    return load_encoder(folder / "encoder")


@lru_cache(maxsize=2)
def teacher_fingerprint(folder: Path) -> str:
    """The fingerprint of the encoder of a teacher's entry."""
    return fingerprint(load_teacher(folder))


@dataclass(frozen=True, eq=False)
class _Teacher(SharedArtifact[TokenEncoder]):
    spec: RunSpec

    kind = "teacher"
    recipe = 2

    def load(self, folder: Path) -> TokenEncoder:
        return load_teacher(folder)


@dataclass(frozen=True, eq=False)
class LoadedTeacher(_Teacher):
    """A teacher from the checkpoint that `teacher.path` names."""

    def key(self) -> Mapping[str, object]:
        return {"checkpoint": self._settings.fingerprint()}

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        save_encoder(self._settings.load(), folder / "encoder")

    def source(self) -> str:
        return f"the checkpoint {self._settings.path}"

    @property
    def _settings(self) -> ColbertTeacher:
        assert isinstance(self.spec.teacher, ColbertTeacher)
        return self.spec.teacher


@dataclass(frozen=True, eq=False)
class TrainedTeacher(_Teacher):
    """A teacher trained on the corpus's relevant pairs or on triples, with or without mined negatives."""

    texts: VocabularyTexts

    def key(self) -> Mapping[str, object]:
        reads_texts = self.spec.backbone.reads_texts
        settings = fact("teacher", self.spec.config["teacher"])
        assert isinstance(settings, dict)
        if self._settings.negatives == "none":
            settings.pop("mining", None)
        return {
            "backbone": self.spec.backbone_fingerprint,
            "vocabulary": self._vocabulary_fingerprint() if reads_texts else None,
            "examples": self._examples_fingerprint(),
            "encoder": fact("encoder", self.spec.config["encoder"]),
            "teacher": settings,
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        # imports Lightning, which commands that only read a teacher do without
        from optical_sweeps.training.teacher_training import train_teacher

        settings = self._settings
        if settings.negatives == "checkpoint":
            previous = teacher_folder(_without_negatives(self.spec), builds, self.texts)
            miner = load_encoder(previous / "encoder").to(self.spec.machine.device())
            encoder = load_encoder(previous / "encoder").requires_grad_(True)
        else:
            miner = None
            assert isinstance(self.spec.encoder, TokenEncoderSettings)
            with builds.interruption.raising():
                encoder = build_token_encoder(self.spec.encoder, self.spec.backbone, self._vocabulary)
        with builds.interruption.raising():
            triples = self._triples
        if settings.negatives != "none":
            triples = builds.get(HardNegatives(triples, settings.mining, miner))
        with builds.progress("teacher") as advance:
            context = TrainingContext(
                self.spec.machine.single_device,
                folder,
                builds.interruption,
                progress=advance,
                checkpoints=self.checkpoints(builds),
            )
            teacher = train_teacher(settings, encoder, triples, context)
        save_encoder(teacher, folder / "encoder")

    def source(self) -> str:
        kind = "query-document pairs" if self.spec.teacher.reads_pairs else "triples"
        return f"training on {len(self._triples)} {kind}"

    def checkpoints(self, builds: ArtifactBuilds) -> TrainingCheckpoints:
        """The state of an interrupted training, beside the entry; the leading dot hides it from the store."""
        entry = builds.expected_folder(self)
        return TrainingCheckpoints(entry.with_name(f".{entry.name}.resume"), entry.name, echo)

    @property
    def _settings(self) -> TeacherSettings:
        assert isinstance(self.spec.teacher, TeacherSettings)
        return self.spec.teacher

    @cached_property
    def _vocabulary(self) -> list[str]:
        """The texts that the backbone's vocabulary is fitted to."""
        if not self.spec.backbone.reads_texts:
            return []
        return [*self.texts.texts, *self._texts_of_triples()]

    def _vocabulary_fingerprint(self) -> str:
        triples = sorted(set(self._texts_of_triples()))
        own = self.texts.fingerprint()
        return fingerprint_of_texts([own, *triples]) if triples else own

    def _texts_of_triples(self) -> Iterable[str]:
        if self.spec.teacher.reads_pairs:
            return ()
        return (text for stretch in self._triples.texts() for text in stretch)

    @cached_property
    def _triples(self) -> Triples:
        """The examples without mined negatives."""
        if self.spec.teacher.reads_pairs:
            return Triples.of_pairs(self.spec.corpus.relevant_pairs())
        assert self._settings.triples is not None
        return self._settings.triples.triples()

    def _examples_fingerprint(self) -> str:
        if not self.spec.teacher.reads_pairs:
            return str(self.spec.teacher.fingerprint())
        pairs = self.spec.corpus.relevant_pairs()
        return fingerprint_of_texts(text for p in pairs for text in (p.query, p.document, p.concept))


def _without_negatives(spec: RunSpec) -> RunSpec:
    """The study whose teacher mines the negatives for the teacher of `spec`."""
    assert isinstance(spec.teacher, TeacherSettings)
    loss = "in_batch" if spec.teacher.reads_pairs else spec.teacher.loss
    section = spec.config["teacher"] | {"negatives": "none", "loss": loss}
    teacher = dataclasses.replace(spec.teacher, negatives="none", loss=loss)
    return dataclasses.replace(spec, teacher=teacher, config=spec.config | {"teacher": section})
