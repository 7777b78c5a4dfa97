"""Search with a student: its queries, over documents that the teacher or the student encodes."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optical_sweeps.console import Advance, no_progress
from optical_sweeps.corpora.collections import Documents, Split
from optical_sweeps.corpora.perturbations import Perturbation
from optical_sweeps.encoders.saved_encoders import fingerprint
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult, measure_collections
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.spec.run_spec import RunSpec

IndexOf = Callable[[Documents], TokenIndex]


@dataclass(frozen=True)
class StudentSearch:
    """Searches and measures a study's collections with its student.

    Args:
        index_of: the teacher's index of documents.
        folder: receives the indexes of a student that encodes documents; `clear` removes it.
        interruption: stops a search or the build of an index.
    """

    spec: RunSpec
    teacher: TokenEncoder
    index_of: IndexOf
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
        queries, index_of = self._encoders(student)
        return measure_collections(
            self.spec.corpus,
            self.spec.languages.groups,
            queries,
            index_of,
            split,
            self.spec.evaluation,
            self.interruption.checked(progress),
            perturbation,
        )

    def clear(self) -> None:
        """Remove the student's indexes."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _encoders(self, student: TokenEncoder) -> tuple[TokenEncoder, IndexOf]:
        """The query encoder and the index of documents: the student's on the sides that it has learned."""
        sides = self.spec.student.sides
        queries = student if "query" in sides else self.teacher
        return queries, self._student_index(student) if "document" in sides else self.index_of

    def _student_index(self, student: TokenEncoder) -> IndexOf:
        """The student's index of documents; an index of earlier weights is removed."""
        weights = fingerprint(student)
        for old in self.folder.glob("*"):
            if old.name != weights:
                shutil.rmtree(old, ignore_errors=True)
        builds = ArtifactBuilds.at(self.folder / weights, self.interruption)
        return partial(_load_index, builds, student, weights, self.spec)


def _load_index(
    builds: ArtifactBuilds, student: TokenEncoder, weights: str, spec: RunSpec, documents: Documents
) -> TokenIndex:
    folder = builds.folder(DocumentIndex(student, weights, documents, spec.index))
    return TokenIndex.load(folder)  # uncached: the folder is removed when the run ends
