"""What every run of a sweep shares: built once in the artifact store, by whichever run comes first."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import echo, progress
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.stored_vectors import load_vectors, write_vectors
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import Side, TokenEncoder
from optical_sweeps.interruption import Interruption
from optical_sweeps.objectives.interface import needs
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.runs.shared.document_index import document_index, load_index
from optical_sweeps.runs.shared.mined_documents import mine
from optical_sweeps.runs.shared.trained_teacher import load_teacher, teacher_fingerprint, teacher_folder
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.sweeps.preparation import note_prepared
from optical_sweeps.training.mined import MinedDocuments

RECIPE = 1
"""Raised when a change of code changes what an unchanged key builds."""


@dataclass(frozen=True)
class Shared:
    """Read-only parts of a sweep.

    Args:
        teacher: the frozen late-interaction encoder.
        indexes: the documents' token vectors, by the teacher, under the documents' fingerprint: languages may
            have documents of their own.
        english: the row of each distinct English text of the bitext in `vectors`.
        vectors: the teacher's token vectors of those texts, as queries.
        document_vectors: the same as documents, where the student learns that side.
        mined: for objectives that need them, the documents mined for each language's bitext.
        built: seconds spent on each part that had to be built; empty where all was cached.
        folders: the entries of the artifact store that these are.
    """

    teacher: TokenEncoder
    indexes: Mapping[str, TokenIndex]
    english: Mapping[str, int]
    vectors: RaggedEmbeddings
    built: dict[str, float]
    folders: tuple[Path, ...]
    document_vectors: RaggedEmbeddings | None = None
    mined: Mapping[str, MinedDocuments] = field(default_factory=dict)

    def index_of(self, documents: Documents) -> TokenIndex:
        """The index of a collection's documents."""
        return self.indexes[documents.fingerprint()]

    def vectors_of(self, side: Side) -> RaggedEmbeddings:
        """The teacher's token vectors of the English texts, encoded as that side."""
        found = self.vectors if side == "query" else self.document_vectors
        assert found is not None
        return found


def prepare(spec: RunSpec, interruption: Interruption | None = None) -> Shared:
    """Everything the runs of `spec`'s sweep share, from the store or built into it.

    Raises:
        Interrupted: the process was asked to stop while it built; a teacher's training goes on from there.
    """
    interruption = interruption or Interruption()
    store = ArtifactStore(spec.artifacts, announce=echo)
    built: dict[str, float] = {}
    folder = teacher_folder(spec, store, built, interruption, lambda: all_texts(spec))
    teacher = load_teacher(folder).to(spec.machine.device())
    teacher_print = teacher_fingerprint(folder)
    index_folders = _indexes(spec, store, teacher, teacher_print, built, interruption)
    english = _distinct_english(spec)
    vectors_folder = _english_vectors(store, english, "query", teacher, teacher_print, built, interruption)
    folders = (folder, *index_folders.values(), vectors_folder)
    note_prepared(spec, folders)
    shared = Shared(
        teacher=teacher,
        indexes={print_: load_index(folder) for print_, folder in index_folders.items()},
        english={text: row for row, text in enumerate(english)},
        vectors=_load_vectors(vectors_folder),
        built=built,
        folders=folders,
    )
    if not spec.objective.trains:
        return shared
    document_vectors, mined = None, {}
    if "document" in spec.student.sides:
        document_vectors = _load_vectors(
            _english_vectors(store, english, "document", teacher, teacher_print, built, interruption)
        )
    if "documents" in needs(spec.objective):
        mined = mine(
            spec, store, teacher_print, english, shared.vectors, shared.index_of, built, interruption.checked
        )
    return replace(shared, document_vectors=document_vectors, mined=mined)


def teacher_of(spec: RunSpec) -> TokenEncoder:
    """The study's teacher alone, from the store or built into it."""
    store = ArtifactStore(spec.artifacts, announce=echo)
    return load_teacher(teacher_folder(spec, store, {}, Interruption(), lambda: all_texts(spec)))


def all_texts(spec: RunSpec) -> list[str]:
    """Every text of the study, for a vocabulary that covers it.

    Dev and test queries are among them: a pruned vocabulary keeps the pieces they need, and the tokenizer
    of the `tiny` backbone, trained on them too, sees their words (not their relevance).
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


def _indexes(
    spec: RunSpec,
    store: ArtifactStore,
    teacher: TokenEncoder,
    teacher_print: str,
    built: dict[str, float],
    interruption: Interruption,
) -> dict[str, Path]:
    return {
        print_: document_index(
            store, teacher, teacher_print, documents, spec.index, built, interruption.checked
        )
        for print_, documents in _documents(spec).items()
    }


def _english_vectors(
    store: ArtifactStore,
    english: tuple[str, ...],
    side: Side,
    teacher: TokenEncoder,
    teacher_print: str,
    built: dict[str, float],
    interruption: Interruption,
) -> Path:
    key = {"recipe": RECIPE, "teacher": teacher_print, "texts": fingerprint_of_texts(english)}
    if side != "query":  # which the first entries were all of
        key["side"] = side
    part = "english" if side == "query" else "english_documents"

    def build(folder: Path) -> None:
        with _timed(part, built, f"{len(english)} English texts"), progress(part) as advance:
            write_vectors(folder, teacher, english, side, interruption.checked(advance))

    return store.get_or_build("english", key, build)


def _distinct_english(spec: RunSpec) -> tuple[str, ...]:
    """The English side of all bitext, every text once, in a fixed order."""
    sides = (spec.corpus.bitext(language).english for language in spec.languages.all)
    return tuple(sorted({text for side in sides for text in side}))


@contextmanager
def _timed(part: str, built: dict[str, float], what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    built[part] = time.perf_counter() - start
    echo(f"{part}: built from {what} in {built[part]:.1f} s")


# Entries of the store never change, so a process that runs a whole sweep reads each of them once.
@lru_cache(maxsize=2)
def _load_vectors(folder: Path) -> RaggedEmbeddings:
    return load_vectors(folder)
