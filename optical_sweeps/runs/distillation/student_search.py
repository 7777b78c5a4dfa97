"""Search with a student: its queries, over documents that the teacher or the student encodes."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from optical_sweeps.console import Advance, no_progress
from optical_sweeps.corpora.collections import Documents, Split
from optical_sweeps.corpora.perturbations import Perturbation
from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.retrieval.pruned_index import PrunedIndex
from optical_sweeps.retrieval.search_settings import PrunedSearch
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult, measure_collections
from optical_sweeps.runs.shared.collection_search import CollectionSearch, PruningPrice
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.shared.pruned_documents import PrunedDocuments
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.spec.run_spec import RunSpec


@dataclass(frozen=True)
class StudentSearch:
    """Searches and measures a study's collections with its student.

    Args:
        shared: the teacher, its indexes, and the candidates of first stages.
        folder: receives the indexes of a student that encodes documents; `clear` removes it.
        interruption: stops a search or the build of an index.
    """

    spec: RunSpec
    shared: SharedResources
    folder: Path
    interruption: Interruption

    def evaluate(
        self,
        student: TokenEncoder,
        split: Split,
        progress: Advance = no_progress,
        perturbation: Perturbation | None = None,
    ) -> EvaluationResult:
        """Every language's queries of a split, perturbed or not, over the documents of its collection."""
        queries, search = self._encoders(student)
        return measure_collections(
            self.spec.corpus,
            self.spec.languages.groups,
            queries,
            search,
            split,
            self.spec.evaluation,
            self.interruption.checked(progress),
            perturbation,
        )

    def prices(self, student: TokenEncoder, progress: Advance = no_progress) -> Mapping[Split, PruningPrice]:
        """What pruning costs this student, for each split that is searched with pruning."""
        queries, search = self._encoders(student)
        corpus, languages = self.spec.corpus, self.spec.languages.all
        prices: dict[PrunedSearch, PruningPrice] = {}
        by_split: dict[Split, PruningPrice] = {}
        for split, how in self.spec.evaluation.searches.items():
            if isinstance(how, PrunedSearch):
                if how not in prices:
                    checked = self.interruption.checked(progress)
                    prices[how] = search.price(how, corpus, languages, queries, checked)
                by_split[split] = prices[how]
        return by_split

    def clear(self) -> None:
        """Remove the student's indexes."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _encoders(self, student: TokenEncoder) -> tuple[TokenEncoder, CollectionSearch]:
        """The query encoder, and the search of its vectors: the student's on the sides that it has learned."""
        sides = self.spec.student.sides
        queries = student if "query" in sides else self.shared.teacher
        search = self.shared.search(self.spec, self.spec.evaluation)
        return queries, self._in_student_index(student, search) if "document" in sides else search

    def _in_student_index(self, student: TokenEncoder, search: CollectionSearch) -> CollectionSearch:
        """The search in the student's index of documents; an index of earlier weights is removed."""
        weights = fingerprint(student)
        for old in self.folder.glob("*"):
            if old.name != weights:
                shutil.rmtree(old, ignore_errors=True)
        builds = ArtifactBuilds.at(self.folder / weights, self.interruption)

        def index_of(documents: Documents) -> TokenIndex:
            folder = builds.folder(DocumentIndex(student, weights, documents, self.spec.index))
            return TokenIndex.load(folder)  # uncached: the folder is removed when the run ends

        def pruned_of(documents: Documents, settings: PrunedSearch) -> PrunedIndex:
            key = DocumentIndex(student, weights, documents, self.spec.index).key()
            return builds.get(PrunedDocuments(index_of(documents), key, settings, search.device))

        return replace(search, index_of=index_of, pruned_of=pruned_of)
