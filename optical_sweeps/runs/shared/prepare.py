"""The resources that all runs of a sweep share, built once by whichever run needs them first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.sharded_embeddings import ShardedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.prepared_note import write_note
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.shared.teacher_vectors import StoredPrecision, TeacherVectors
from optical_sweeps.runs.shared.trained_teacher import load_teacher, teacher_fingerprint, teacher_folder
from optical_sweeps.runs.spec.run_spec import RunSpec

VOCABULARY_PAIRS = 100_000
"""Most pairs of a language that a vocabulary is fitted to."""


@dataclass(frozen=True)
class SharedResources:
    """Read-only resources of a sweep.

    Args:
        teacher: the frozen late-interaction encoder.
        indexes: the teacher's index of each document set, by the documents' fingerprint; languages may have
            different documents.
        builds: the artifact store, and the seconds spent on each part that this process had to build.
    """

    teacher: TokenEncoder
    teacher_fingerprint: str
    indexes: Mapping[str, TokenIndex]
    builds: ArtifactBuilds

    def index_of(self, documents: Documents) -> TokenIndex:
        """The teacher's index of these documents."""
        return self.indexes[documents.fingerprint()]

    def english_vectors(
        self, texts: Sequence[str], side: Side, precision: StoredPrecision = "float32"
    ) -> ShardedEmbeddings:
        """The teacher's token vectors of English texts; what the store lacks is encoded and added to it."""
        return TeacherVectors(self.teacher, self.teacher_fingerprint, side, precision).of(self.builds, texts)


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
    indexes = {key: DocumentIndex(teacher, fingerprint, each, spec.index) for key, each in documents.items()}
    index_folders = {key: builds.folder(index) for key, index in indexes.items()}
    write_note(spec.shared_note, (folder, *index_folders.values()))
    return SharedResources(
        teacher=teacher,
        teacher_fingerprint=fingerprint,
        indexes={key: index.load(index_folders[key]) for key, index in indexes.items()},
        builds=builds,
    )


def teacher_of(spec: RunSpec) -> TokenEncoder:
    """The study's teacher alone, from the store or built into it."""
    return load_teacher(teacher_folder(spec, ArtifactBuilds.at(spec.artifacts), lambda: all_texts(spec)))


def all_texts(spec: RunSpec) -> list[str]:
    """Every text of the study, for a vocabulary that covers it.

    Dev and test queries are included: a pruned vocabulary keeps the pieces they need, and the tokenizer of
    the `tiny` backbone, which is trained on them too, sees their words (not their relevance). Of a larger
    bitext, `VOCABULARY_PAIRS` pairs are taken at equal distances.
    """
    texts = [text for documents in _documents(spec).values() for text in documents.texts]
    for pair in spec.corpus.relevant_pairs() if spec.teacher.reads_pairs else ():
        texts += [pair.query, pair.document]
    for language in spec.languages.all:
        bitext = spec.corpus.bitext(language)
        count = min(len(bitext), VOCABULARY_PAIRS)
        rows = [place * len(bitext) // count for place in range(count)]
        texts += [side[row] for side in (bitext.english, bitext.translations) for row in rows]
        for split in ("dev", "test"):
            texts += spec.corpus.collection(language, split).queries.texts
    return texts


def _documents(spec: RunSpec) -> dict[str, Documents]:
    """The distinct document sets that the study's languages search, by fingerprint."""
    sets = (spec.corpus.collection(language, "test").documents for language in spec.languages.all)
    return {documents.fingerprint(): documents for documents in sets}
