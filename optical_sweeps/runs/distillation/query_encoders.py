"""Who encodes queries and documents: a finished run's student and teacher, or a checkpoint for both."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.settings import EvaluationSettings
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.settings import IndexSettings
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.spec.run_spec import RunSpec, build_part


@dataclass(frozen=True)
class Encoders:
    """Encoders of a search, and the study they come from.

    Args:
        name: for people.
        tag: for run files.
        queries, documents: who encodes them.
        corpus: whose collections are searched.
        spec: of the run, where its own corpus is searched; None for another corpus, and for a checkpoint.
        teacher: of the run, which the student learnt from.
        trained: how the student was trained, whatever is searched; None for a checkpoint.
        languages: whose queries these encoders are for, where a run has several students; None: all.
    """

    name: str
    tag: str
    queries: TokenEncoder
    documents: TokenEncoder
    corpus: Any
    evaluation: EvaluationSettings
    index: IndexSettings
    builds: ArtifactBuilds
    spec: RunSpec | None
    teacher: TokenEncoder | None = None
    languages: tuple[str, ...] | None = None
    trained: RunSpec | None = None

    def index_of(self, documents: Documents) -> TokenIndex:
        """The documents' token vectors, from the artifact store or built into it."""
        from optical_sweeps.encoders.checkpoints import fingerprint

        print_ = fingerprint(self.documents)
        return self.builds.get(DocumentIndex(self.documents, print_, documents, self.index))


def load_encoders(settings: Mapping[str, Any]) -> Encoders:
    """What `run` or `checkpoint` of a verb's config names; of several students, that of `language`.

    Raises:
        UserError: both or neither, an unfinished run, one whose data changed, no data for a checkpoint, or no
            language named to choose a student by.
    """
    found = load_all_encoders(settings)
    if len(found) == 1:
        return found[0]
    language = settings.get("language")
    for encoders in found:
        if language in (encoders.languages or ()):
            return encoders
    known = ", ".join(language for encoders in found for language in encoders.languages or ())
    raise UserError(f"language: {language}, but the run has several students; choose one of {known}")


def load_all_encoders(settings: Mapping[str, Any]) -> tuple[Encoders, ...]:
    """As `load_encoders`, for every student of the run.

    Raises:
        UserError: as `load_encoders`, but for the language.
    """
    if (settings["run"] is None) == (settings["checkpoint"] is None):
        raise UserError("run, checkpoint: give one of them, such as run=multirun/demo/0123456789ab")
    index = build_part("index", settings["index"]) if settings.get("index") else None
    if settings["run"] is not None:
        return _of_run(settings, index)
    return (_of_checkpoint(settings, index),)


def finished_run(settings: Mapping[str, Any]) -> tuple[RunFolder, RunSpec]:
    """The folder and the parts of the run that `run` of a verb's config names.

    Raises:
        UserError: the run is not done, or its data changed since.
    """
    folder = RunFolder(Path(settings["run"]))
    if folder.state() != "done":
        raise UserError(f"run: {folder.path} is {folder.state()}, not done; name the folder of a finished run")
    record = folder.record()
    spec = RunSpec.from_config(OmegaConf.create({**record["config"], "machine": settings["machine"]}))
    if spec.id != record["id"]:
        raise UserError(
            f"run: {folder.path} is run {record['id']}, but its config now describes {spec.id}: its data or "
            "backbone changed since, or another version made it; call from where it ran, or run it again"
        )
    return folder, spec


def _of_run(settings: Mapping[str, Any], index: IndexSettings | None) -> tuple[Encoders, ...]:
    from optical_sweeps.runs.distillation.student_search import load_students
    from optical_sweeps.runs.shared.prepare import prepare

    folder, spec = finished_run(settings)
    spec.machine.prepare()
    teacher = prepare(spec).teacher
    students = load_students(spec, teacher, folder.path / "checkpoints")
    whole = Encoders(
        name=str(folder.record()["label"]),
        tag=spec.id,
        queries=teacher,
        documents=teacher,
        corpus=build_part("data", settings["data"]) if settings.get("data") else spec.corpus,
        evaluation=_evaluation(settings) or spec.evaluation,
        index=index or spec.index,
        builds=ArtifactBuilds.at(spec.artifacts),
        spec=None if settings.get("data") else spec,
        teacher=teacher,
        trained=spec,
    )
    sides = spec.student.sides
    return tuple(
        replace(
            whole,
            queries=student.encoder if "query" in sides else teacher,
            documents=student.encoder if "document" in sides else teacher,
            languages=student.languages if len(students) > 1 else None,
        )
        for student in students
    )


def _of_checkpoint(settings: Mapping[str, Any], index: IndexSettings | None) -> Encoders:
    from optical_sweeps.encoders.checkpoints import load_encoder

    if not settings.get("data"):
        raise UserError("data: a checkpoint has no collection of its own; name one, such as data=emoji")
    machine = build_part("machine", settings["machine"])
    machine.prepare()
    folder = Path(settings["checkpoint"])
    encoder = load_encoder(folder).to(machine.device())
    return Encoders(
        name=folder.name,
        tag="_".join(folder.absolute().name.split()),
        queries=encoder,
        documents=encoder,
        corpus=build_part("data", settings["data"]),
        evaluation=_evaluation(settings) or EvaluationSettings(),
        index=index or IndexSettings(),
        builds=ArtifactBuilds.at(Path(settings["paths"]["artifacts"]).absolute()),
        spec=None,
    )


def _evaluation(settings: Mapping[str, Any]) -> EvaluationSettings | None:
    return build_part("evaluation", settings["evaluation"]) if settings.get("evaluation") else None
