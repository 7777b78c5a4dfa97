"""What every run of a sweep shares: built once in the artifact store, by whichever run comes first."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import progress, say
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.checkpoints import fingerprint, load_encoder, save_encoder
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder, build_token_encoder
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.settings import IndexSettings
from optical_sweeps.sweeps.preparation import note_prepared
from optical_sweeps.sweeps.run_spec import RunSpec
from optical_sweeps.training.checkpoints import Checkpoints
from optical_sweeps.training.interruption import Interruption
from optical_sweeps.verbs.document_index import document_index, load_index

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
        vectors: the teacher's token vectors of those texts.
        built: seconds spent on each part that had to be built; empty where all was cached.
        folders: the entries of the artifact store that these are.
    """

    teacher: TokenEncoder
    indexes: Mapping[str, TokenIndex]
    english: Mapping[str, int]
    vectors: RaggedEmbeddings
    built: Mapping[str, float]
    folders: tuple[Path, ...]

    def index_of(self, documents: Documents) -> TokenIndex:
        """The index of a collection's documents."""
        return self.indexes[documents.fingerprint()]


def prepare(spec: RunSpec, interruption: Interruption | None = None) -> Shared:
    """Everything the runs of `spec`'s sweep share, from the store or built into it.

    Raises:
        Interrupted: the process was asked to stop while it built; a teacher's training goes on from there.
    """
    interruption = interruption or Interruption()
    store = ArtifactStore(spec.artifacts, announce=say)
    built: dict[str, float] = {}
    teacher_folder = _teacher(spec, store, built, interruption)
    teacher = _load_teacher(teacher_folder).to(spec.machine.device())
    teacher_print = _fingerprint(teacher_folder)
    index_folders = _indexes(spec, store, teacher, teacher_print, built, interruption)
    english = _distinct_english(spec)
    vectors_folder = _english_vectors(spec, store, english, teacher, teacher_print, built, interruption)
    folders = (teacher_folder, *index_folders.values(), vectors_folder)
    note_prepared(spec, folders)
    return Shared(
        teacher=teacher,
        indexes={print_: load_index(folder) for print_, folder in index_folders.items()},
        english={text: row for row, text in enumerate(english)},
        vectors=_load_vectors(vectors_folder),
        built=built,
        folders=folders,
    )


def all_texts(spec: RunSpec) -> list[str]:
    """Every text of the study, for a vocabulary that covers it.

    Dev and test queries are among them: a pruned vocabulary keeps the pieces they need, and the tokenizer
    of the `tiny` backbone, trained on them too, sees their words (not their relevance).
    """
    texts = [text for documents in _documents(spec).values() for text in documents.texts]
    for pair in spec.corpus.relevant_pairs():
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


def _teacher(spec: RunSpec, store: ArtifactStore, built: dict[str, float], interruption: Interruption) -> Path:
    texts = all_texts(spec) if spec.backbone.reads_texts else []
    pairs = spec.corpus.relevant_pairs()
    key = {
        "recipe": RECIPE,
        "backbone": spec.backbone_print,
        "vocabulary": fingerprint_of_texts(sorted(set(texts))) if spec.backbone.reads_texts else None,
        "pairs": fingerprint_of_texts(part for p in pairs for part in (p.query, p.document, p.concept)),
        "encoder": spec.config["encoder"],
        "teacher": spec.config["teacher"],
    }

    def build(folder: Path) -> None:
        with _timed("teacher", built, f"training on {len(pairs)} query-document pairs"):
            encoder = build_token_encoder(spec.encoder, spec.backbone, texts)
            with progress("teacher") as advance:
                teacher = spec.teacher.train(
                    encoder, pairs, spec.machine, advance, checkpoints=checkpoints, interruption=interruption
                )
            save_encoder(teacher, folder / "encoder")

    entry = store.folder_of("teacher", key)
    # beside the entry, which is whole or not there; the dot hides it from the store
    checkpoints = Checkpoints(entry.with_name(f".{entry.name}.resume"), entry.name, say)
    store.get_or_build("teacher", key, build)
    if "teacher" in built:
        checkpoints.remove()
    return entry


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
            store, teacher, teacher_print, documents, IndexSettings(), built, interruption.checked
        )
        for print_, documents in _documents(spec).items()
    }


def _english_vectors(
    spec: RunSpec,
    store: ArtifactStore,
    english: tuple[str, ...],
    teacher: TokenEncoder,
    teacher_print: str,
    built: dict[str, float],
    interruption: Interruption,
) -> Path:
    key = {"recipe": RECIPE, "teacher": teacher_print, "texts": fingerprint_of_texts(english)}

    def build(folder: Path) -> None:
        with _timed("english", built, f"{len(english)} English texts"), progress("english") as advance:
            ragged = teacher.encode(english, "query", progress=interruption.checked(advance))
            np.save(folder / "vectors.npy", ragged.vectors)
            np.save(folder / "offsets.npy", ragged.offsets)

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
    say(f"{part}: built from {what} in {built[part]:.1f} s")


# Entries of the store never change, so a process that runs a whole sweep reads each of them once.
@lru_cache(maxsize=2)
def _load_teacher(folder: Path) -> TokenEncoder:
    return load_encoder(folder / "encoder")


@lru_cache(maxsize=2)
def _fingerprint(folder: Path) -> str:
    return fingerprint(_load_teacher(folder))


@lru_cache(maxsize=2)
def _load_vectors(folder: Path) -> RaggedEmbeddings:
    return RaggedEmbeddings(np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "offsets.npy"))
