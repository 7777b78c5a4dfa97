"""Searching with a run's students: the queries of each one's languages, over documents it may encode itself."""

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.checkpoints import fingerprint, load_student, save_student
from optical_sweeps.encoders.student_groups import student_groups
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.evaluation.measures import macro_average
from optical_sweeps.interruption import Interruption
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult
from optical_sweeps.runs.shared.document_index import DocumentIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds
from optical_sweeps.runs.spec.run_spec import Languages, RunSpec

IndexOf = Callable[[Documents], TokenIndex]
Work = Callable[[RunSpec, TokenEncoder, IndexOf], Sequence[EvaluationResult]]
"""(run of some languages, who encodes their queries, the index of documents) -> what was measured."""


@dataclass(frozen=True, eq=False)
class Student:
    """One of a run's students.

    Args:
        name: `all`, a group, or a language.
        languages: whose queries it searches with.
    """

    name: str
    languages: tuple[str, ...]
    encoder: TokenEncoder


@dataclass(frozen=True)
class StudentSearch:
    """Searches a study's collections with its students.

    Args:
        index_of: the teacher's index of documents.
        folder: receives the indexes of students that encode documents; `clear` removes it.
        interruption: stops the build of a student's index.
    """

    spec: RunSpec
    teacher: TokenEncoder
    index_of: IndexOf
    folder: Path
    interruption: Interruption = field(default_factory=Interruption)

    def over(self, students: Sequence[Student], work: Work) -> list[EvaluationResult]:
        """The work of every student over its own languages, as if one had done it."""
        parts = [
            work(of_languages(self.spec, student.languages), *self.encoders(student)) for student in students
        ]
        if len(parts) == 1:
            return list(parts[0])
        return [joined(measured, self.spec.languages.groups) for measured in zip(*parts, strict=True)]

    def encoders(self, student: Student) -> tuple[TokenEncoder, IndexOf]:
        """Who encodes the queries, and the index of documents: on a side that was trained, the student's."""
        sides = self.spec.student.sides
        queries = student.encoder if "query" in sides else self.teacher
        return queries, self._own_index(student) if "document" in sides else self.index_of

    def clear(self) -> None:
        """Remove the students' indexes."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own_index(self, student: Student) -> IndexOf:
        """The student's index of documents: the one that stands, unless its weights have changed since."""
        print_ = fingerprint(student.encoder)
        own = self.folder / student.name
        for old in own.glob("*"):
            if old.name != print_:
                shutil.rmtree(old, ignore_errors=True)
        builds = ArtifactBuilds.at(own / print_, self.interruption)

        def index_of(documents: Documents) -> TokenIndex:
            folder = builds.folder(DocumentIndex(student.encoder, print_, documents, self.spec.index))
            return TokenIndex.load(folder)  # uncached: the folder is removed when the run ends

        return index_of


def languages_of_students(spec: RunSpec) -> dict[str, tuple[str, ...]]:
    """The languages of each student, by its name; a run that trains nothing has one."""
    groups = {"high": spec.languages.high, "low": spec.languages.low}
    return student_groups(spec.student.one_for if spec.objective.trains else "all", groups)


def of_languages(spec: RunSpec, languages: Sequence[str]) -> RunSpec:
    """The run cut down to some of its languages."""
    if set(languages) == set(spec.languages.all):
        return spec
    high = tuple(language for language in spec.languages.high if language in languages)
    low = tuple(language for language in spec.languages.low if language in languages)
    return dataclasses.replace(spec, languages=Languages(high, low))


def joined(parts: Sequence[EvaluationResult], groups: Mapping[str, Sequence[str]]) -> EvaluationResult:
    """Measurements of one split over different languages as one; groups are averaged anew."""
    found: dict[str, Any] = {}
    for entry in dataclasses.fields(EvaluationResult):
        if entry.name not in ("split", "means"):
            found[entry.name] = {
                language: getattr(part, entry.name)[language]
                for language in groups["all"]
                for part in parts
                if language in getattr(part, entry.name)
            }
    means = {
        language: part.means[language] for language in groups["all"] for part in parts if language in part.means
    }
    named = {f"group:{name}": members for name, members in groups.items()}
    return dataclasses.replace(parts[0], **found, means={**means, **macro_average(means, named)})


def save_students(students: Sequence[Student], teacher: TokenEncoder, folder: Path) -> None:
    """Write a run's students: into the folder itself where there is one, else into one by the name of each."""
    for student in students:
        save_student(student.encoder, teacher, folder if len(students) == 1 else folder / student.name)


def load_students(spec: RunSpec, teacher: TokenEncoder, folder: Path) -> tuple[Student, ...]:
    """The students of a finished run, as `save_students` wrote them."""
    groups = languages_of_students(spec)
    device = spec.machine.device()
    return tuple(
        Student(
            name,
            languages,
            load_student(folder if len(groups) == 1 else folder / name, teacher).to(device),
        )
        for name, languages in groups.items()
    )
