"""The resources that all runs of a sweep share, built once by whichever run needs them first."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.objectives.interface import needs
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.prepared_note import write_note
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.mined_documents import mine
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.shared.teacher_vectors import TeacherVectors
from optical_sweeps.runs.shared.trained_teacher import load_teacher, teacher_fingerprint, teacher_folder
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.mined_pairs import MinedDocuments


@dataclass(frozen=True)
class SharedResources:
    """Read-only resources of a sweep.

    Args:
        teacher: the frozen late-interaction encoder.
        indexes: the teacher's index of each document set, by the documents' fingerprint; languages may have
            different documents.
        english: the distinct English texts of the bitext, each with its row in `vectors`.
        vectors: the teacher's token vectors of those texts, encoded as queries.
        builds: the artifact store, and the seconds spent on each part that this process had to build.
        document_vectors: as `vectors`, encoded as documents; for students that learn that side.
        mined: the documents mined for each language's bitext, for objectives that need them.
    """

    teacher: TokenEncoder
    indexes: Mapping[str, TokenIndex]
    english: Mapping[str, int]
    vectors: RaggedEmbeddings
    builds: ArtifactBuilds
    document_vectors: RaggedEmbeddings | None = None
    mined: Mapping[str, MinedDocuments] = field(default_factory=dict)

    def index_of(self, documents: Documents) -> TokenIndex:
        """The teacher's index of these documents."""
        return self.indexes[documents.fingerprint()]

    def vectors_of(self, side: Side) -> RaggedEmbeddings:
        """The teacher's token vectors of the English texts, encoded as that side."""
        vectors = self.vectors if side == "query" else self.document_vectors
        assert vectors is not None
        return vectors


def prepare(spec: RunSpec, interruption: Interruption | None = None) -> SharedResources:
    """Everything that the runs of `spec`'s sweep share, from the store or built into it.

    Raises:
        Interrupted: the process was asked to stop during a build; the next call resumes a teacher's training.
    """
    builds = ArtifactBuilds.at(spec.artifacts, interruption)
    folder = teacher_folder(spec, builds, lambda: all_texts(spec))
    teacher = load_teacher(folder).to(spec.machine.device())
    fingerprint = teacher_fingerprint(folder)
    with builds.interruption.raising():
        documents = _documents(spec)
        english = _distinct_english(spec)
    indexes = {key: DocumentIndex(teacher, fingerprint, each, spec.index) for key, each in documents.items()}
    index_folders = {key: builds.folder(index) for key, index in indexes.items()}
    vectors = TeacherVectors(teacher, fingerprint, english, "query")
    vectors_folder = builds.folder(vectors)
    write_note(spec.shared_note, (folder, *index_folders.values(), vectors_folder))
    resources = SharedResources(
        teacher=teacher,
        indexes={key: index.load(index_folders[key]) for key, index in indexes.items()},
        english={text: row for row, text in enumerate(english)},
        vectors=vectors.load(vectors_folder),
        builds=builds,
    )
    if spec.objective.trains and "document" in spec.student.sides:
        as_documents = builds.get(TeacherVectors(teacher, fingerprint, english, "document"))
        resources = replace(resources, document_vectors=as_documents)
    if spec.objective.trains and "documents" in needs(spec.objective):
        mined = mine(spec, builds, fingerprint, resources.english, resources.vectors, resources.index_of)
        resources = replace(resources, mined=mined)
    return resources


def teacher_of(spec: RunSpec) -> TokenEncoder:
    """The study's teacher alone, from the store or built into it."""
    return load_teacher(teacher_folder(spec, ArtifactBuilds.at(spec.artifacts), lambda: all_texts(spec)))


def all_texts(spec: RunSpec) -> list[str]:
    """Every text of the study, for a vocabulary that covers it.

    Dev and test queries are included: a pruned vocabulary keeps the pieces they need, and the tokenizer of
    the `tiny` backbone, which is trained on them too, sees their words (not their relevance).
    """
    texts = [text for documents in _documents(spec).values() for text in documents.texts]
    for pair in spec.corpus.relevant_pairs() if spec.teacher.reads_pairs else ():
        texts += [pair.query, pair.document]
    for language in spec.languages.all:
        bitext = spec.corpus.bitext(language)
        texts += [*bitext.english, *bitext.translations]
        for split in ("dev", "test"):
            texts += spec.corpus.collection(language, split).queries.texts
    return texts


def _documents(spec: RunSpec) -> dict[str, Documents]:
    """The distinct document sets that the study's languages search, by fingerprint."""
    sets = (spec.corpus.collection(language, "test").documents for language in spec.languages.all)
    return {documents.fingerprint(): documents for documents in sets}


def _distinct_english(spec: RunSpec) -> tuple[str, ...]:
    """The English side of all bitext, every text once, in a fixed order."""
    sides = (spec.corpus.bitext(language).english for language in spec.languages.all)
    return tuple(sorted({text for side in sides for text in side}))
