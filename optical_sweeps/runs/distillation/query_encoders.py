"""The encoders of a search: a finished run's student and teacher, or one checkpoint for both sides."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from optical_sweeps.config_classes import ALLOW_KEY, allow_foreign_classes
from optical_sweeps.corpora.collections import Corpus, Documents
from optical_sweeps.encoders.saved_encoders import fingerprint, load_encoder, load_student
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.retrieval.index_settings import IndexSettings
from optical_sweeps.retrieval.pruned_index import PrunedIndex
from optical_sweeps.retrieval.search_settings import PrunedSearch, RerankSearch
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.finished_run import check_source, finished_folder
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.shared.collection_search import CollectionSearch
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.first_stages import FirstStages, StudyTeacher
from optical_sweeps.runs.shared.prepare import SharedResources, prepare, teacher_of
from optical_sweeps.runs.shared.pruned_documents import PrunedDocuments
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.spec.corpus_section import corpus_of
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.settings import build, build_as
from optical_sweeps.training.machine import Machine

T = TypeVar("T")


@dataclass(frozen=True)
class Encoders:
    """The encoders of a search, and the study they come from.

    Args:
        name: the run's label, or the checkpoint's folder.
        tag: names the system in run files.
        queries, documents: the encoder of each side.
        corpus: its collections are searched.
        spec: the run, if its own corpus is searched; None for another corpus, and for a checkpoint.
        teacher: the teacher of the run's student; None for a checkpoint.
        trained: the run that trained the student, also if another corpus is searched; None for a checkpoint.
        shared: the resources of that run's sweep, if a first stage reads them.
    """

    name: str
    tag: str
    queries: TokenEncoder
    documents: TokenEncoder
    corpus: Corpus
    evaluation: EvaluationSettings
    index: IndexSettings
    builds: ArtifactBuilds
    spec: RunSpec | None = None
    teacher: TokenEncoder | None = None
    trained: RunSpec | None = None
    shared: SharedResources | None = None

    def index_of(self, documents: Documents) -> TokenIndex:
        """The documents' token vectors, from the artifact store or built into it."""
        weights = fingerprint(self.documents)
        return self.builds.get(DocumentIndex(self.documents, weights, documents, self.index))

    def pruned_of(self, documents: Documents, settings: PrunedSearch) -> PrunedIndex:
        """The documents' pruned index, from the artifact store or built into it."""
        key = DocumentIndex(self.documents, fingerprint(self.documents), documents, self.index).key()
        return self.builds.get(PrunedDocuments(self.index_of(documents), key, settings, self.device))

    @property
    def search(self) -> CollectionSearch:
        """Searches the corpus as `evaluation` says."""
        if self.shared is None:
            stages = FirstStages(self.corpus, self.evaluation, self.builds, self.device)
        else:
            stages = self.shared.first_stages(self.corpus, self.evaluation)
            teacher = StudyTeacher(
                self.shared.teacher,
                self.shared.teacher_fingerprint,
                self._teacher_index,
                self.index.vector_precision,
                self.shared.english_vectors,
            )
            stages = replace(stages, teacher=teacher)
        return CollectionSearch(self.evaluation, self.index_of, self.pruned_of, stages.candidates, self.device)

    @property
    def device(self) -> str:
        return self.queries.projection.weight.device.type

    def _teacher_index(self, documents: Documents) -> TokenIndex:
        assert self.teacher is not None
        return self.builds.get(DocumentIndex(self.teacher, fingerprint(self.teacher), documents, self.index))


def load_encoders(settings: Mapping[str, Any]) -> Encoders:
    """The encoders that `run` or `checkpoint` of a command's config names.

    Raises:
        UserError: both or neither are given, the run is unfinished or its data changed, or a checkpoint comes
            without data.
    """
    allow_foreign_classes(settings.get(ALLOW_KEY, []))
    check_source(settings)
    return _run_encoders(settings) if settings["run"] is not None else _checkpoint_encoders(settings)


def finished_run(settings: Mapping[str, Any]) -> tuple[RunFolder, RunSpec]:
    """The folder and the spec of the run that `run` of a command's config names.

    Raises:
        UserError: the run is not done, or its data changed since.
    """
    folder = finished_folder(Path(settings["run"]))
    record = folder.record()
    config = {**record["config"], "machine": settings["machine"]}
    # what the record allowed was its author's choice; the user of this command chooses again
    spec = RunSpec.from_plain({**config, ALLOW_KEY: settings.get(ALLOW_KEY, [])})
    if spec.id != record["id"]:
        raise UserError(
            f"{folder.path} is run {record['id']}, but its config now describes {spec.id}: its data or "
            "backbone changed, or another version wrote it; call from its working folder, or repeat the run"
        )
    return folder, spec


def trained_student(folder: RunFolder, spec: RunSpec, teacher: TokenEncoder) -> TokenEncoder:
    """The student of a finished run, on the run's device."""
    return load_student(folder.path / "checkpoints", teacher).to(spec.machine.device())


def _run_encoders(settings: Mapping[str, Any]) -> Encoders:
    folder, spec = finished_run(settings)
    spec.machine.prepare()
    evaluation = _evaluation(settings, spec.evaluation)
    if not settings.get("data"):
        spec = replace(spec, evaluation=evaluation)
    reranks = any(isinstance(search, RerankSearch) for search in evaluation.searches.values())
    shared = prepare(spec) if reranks else None  # only first stages read more of the study than its teacher
    teacher = teacher_of(spec).to(spec.machine.device()) if shared is None else shared.teacher
    student = trained_student(folder, spec, teacher)
    data = settings.get("data")
    return Encoders(
        name=str(folder.record()["label"]),
        tag=spec.id,
        queries=student if "query" in spec.student.sides else teacher,
        documents=student if "document" in spec.student.sides else teacher,
        corpus=corpus_of(data) if data else spec.corpus,
        evaluation=evaluation,
        index=_part(settings, "index", IndexSettings) or spec.index,
        builds=ArtifactBuilds.at(spec.artifacts),
        spec=None if data else spec,
        teacher=teacher,
        trained=spec,
        shared=shared,
    )


def _checkpoint_encoders(settings: Mapping[str, Any]) -> Encoders:
    machine = build_as("machine", settings["machine"], Machine)
    machine.prepare()
    folder = Path(settings["checkpoint"])
    encoder = load_encoder(folder).to(machine.device())
    return Encoders(
        name=folder.name,
        tag="_".join(folder.absolute().name.split()),
        queries=encoder,
        documents=encoder,
        corpus=corpus_of(settings["data"]),
        evaluation=_evaluation(settings, EvaluationSettings()),
        index=_part(settings, "index", IndexSettings) or IndexSettings(),
        builds=ArtifactBuilds.at(Path(settings["paths"]["artifacts"]).absolute()),
    )


def _evaluation(settings: Mapping[str, Any], default: EvaluationSettings) -> EvaluationSettings:
    """The settings of the search and the measures, with the search that a command names."""
    evaluation = _part(settings, "evaluation", EvaluationSettings) or default
    if not settings.get("search"):
        return evaluation
    return replace(evaluation, search=build("search", settings["search"]), dev_search=None)


def _part(settings: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """A part of the config that a command may override; None if it does not."""
    return build_as(name, settings[name], kind) if settings.get(name) else None
