"""The resources that all runs of a sweep share, built once by whichever run needs them first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.collections import Corpus, Documents
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.sharded_embeddings import ShardedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.interruption import Interruption
from optical_sweeps.retrieval.index_settings import IndexSettings
from optical_sweeps.retrieval.pruned_index import PrunedIndex
from optical_sweeps.retrieval.search_settings import PrunedSearch, RerankSearch
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.retrieval.word_alignment import AlignmentSettings
from optical_sweeps.runs.prepared_note import write_note
from optical_sweeps.runs.shared.aligned_word_counts import AlignedWordCounts
from optical_sweeps.runs.shared.collection_search import CollectionSearch
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.first_stages import FirstStageCandidates, FirstStages, StudyTeacher
from optical_sweeps.runs.shared.pruned_documents import PrunedDocuments
from optical_sweeps.runs.shared.pruning_price import TeacherPrice
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.shared.teacher_vectors import StoredPrecision, TeacherVectors
from optical_sweeps.runs.shared.trained_teacher import load_teacher, teacher_fingerprint, teacher_folder
from optical_sweeps.runs.shared.vocabulary_texts import VocabularyTexts, document_sets
from optical_sweeps.runs.spec.run_spec import RunSpec


@dataclass(frozen=True)
class SharedResources:
    """Read-only resources of a sweep.

    Args:
        teacher: the frozen late-interaction encoder.
        indexes: the teacher's index of each document set, by the documents' fingerprint; languages may have
            different documents.
        builds: the artifact store, and the seconds spent on each part that this process had to build.
        device: computes searches.
    """

    teacher: TokenEncoder
    teacher_fingerprint: str
    indexes: Mapping[str, TokenIndex]
    builds: ArtifactBuilds
    device: str
    index_settings: IndexSettings

    def index_of(self, documents: Documents) -> TokenIndex:
        """The teacher's index of these documents."""
        return self.indexes[documents.fingerprint()]

    def pruned_of(self, documents: Documents, settings: PrunedSearch) -> PrunedIndex:
        """The pruned index of these documents, from the store or built into it."""
        key = DocumentIndex(self.teacher, self.teacher_fingerprint, documents, self.index_settings).key()
        return self.builds.get(PrunedDocuments(self.index_of(documents), key, settings, self.device))

    def first_stages(self, corpus: Corpus, evaluation: EvaluationSettings) -> FirstStages:
        """The first stages over a corpus."""
        return FirstStages(corpus, evaluation, self.builds, self.device, self._study_teacher)

    def search(self, spec: RunSpec, evaluation: EvaluationSettings) -> CollectionSearch:
        """Searches the study's collections in the teacher's indexes."""
        stages = self.first_stages(spec.corpus, evaluation)
        return CollectionSearch(evaluation, self.index_of, self.pruned_of, stages.candidates, self.device)

    def word_counts(self, bitext: Bitext, alignment: AlignmentSettings) -> AlignedWordCounts:
        """The counts of aligned words of a bitext, to be built or loaded."""
        return self._study_teacher.word_counts(bitext, alignment)

    @property
    def _study_teacher(self) -> StudyTeacher:
        precision = self.index_settings.vector_precision
        return StudyTeacher(
            self.teacher, self.teacher_fingerprint, self.index_of, precision, self.english_vectors
        )

    def english_vectors(
        self, texts: Sequence[str], side: Side, precision: StoredPrecision = "float32"
    ) -> ShardedEmbeddings:
        """The teacher's token vectors of English texts; what the store lacks is encoded and added to it."""
        return TeacherVectors(self.teacher, self.teacher_fingerprint, side, precision).stored(
            self.builds, texts
        )


def prepare(spec: RunSpec, interruption: Interruption | None = None) -> SharedResources:
    """Everything that the runs of `spec`'s sweep share, from the store or built into it.

    Raises:
        Interrupted: the process was asked to stop during a build; the next call resumes a teacher's training.
    """
    builds = ArtifactBuilds.at(spec.artifacts, interruption)
    folder = teacher_folder(spec, builds, VocabularyTexts(spec))
    teacher = load_teacher(folder).to(spec.machine.device())
    fingerprint = teacher_fingerprint(folder)
    with builds.interruption.raising():
        documents = document_sets(spec)
    indexes = {key: DocumentIndex(teacher, fingerprint, each, spec.index) for key, each in documents.items()}
    index_folders = {key: builds.folder(index) for key, index in indexes.items()}
    resources = SharedResources(
        teacher=teacher,
        teacher_fingerprint=fingerprint,
        indexes={key: index.load(index_folders[key]) for key, index in indexes.items()},
        builds=builds,
        device=spec.machine.device(),
        index_settings=spec.index,
    )
    write_note(spec.shared_note, (folder, *index_folders.values(), *prepare_searches(spec, resources)))
    return resources


def prepare_searches(spec: RunSpec, resources: SharedResources) -> list[Path]:
    """Build the pruned indexes, with their price by the teacher's queries, and the candidates of first stages.

    Returns:
        The folders in the store.

    Raises:
        UserError: pruning loses more than the settings allow.
    """
    folders: dict[Path, None] = {}
    builds, stages = resources.builds, resources.first_stages(spec.corpus, spec.evaluation)
    for split, how in spec.evaluation.searches.items():
        if isinstance(how, RerankSearch):
            for language in spec.languages.all:
                folders[builds.folder(FirstStageCandidates(stages, how, language, split))] = None
        if isinstance(how, PrunedSearch) and "document" not in spec.student.sides:
            price = TeacherPrice(spec, resources.teacher, resources.search(spec, spec.evaluation), how)
            folders[builds.folder(price)] = None
            key = (
                "evaluation.dev_search"
                if split == "dev" and spec.evaluation.dev_search
                else "evaluation.search"
            )
            price.load(builds.folder(price)).refuse_above(how.max_loss, key)
    return list(folders)


def teacher_of(spec: RunSpec) -> TokenEncoder:
    """The study's teacher alone, from the store or built into it."""
    return load_teacher(teacher_folder(spec, ArtifactBuilds.at(spec.artifacts), VocabularyTexts(spec)))
