"""What every run of a sweep shares: built once in the artifact store, by whichever run comes first."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import progress, say
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.encoders.checkpoints import fingerprint, load_encoder, save_encoder
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder, build_token_encoder
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.sweeps.run_spec import RunSpec

RECIPE = 1
"""Raised when a change of code changes what an unchanged key builds."""

STRETCH = 4096
"""Documents encoded at a time."""


@dataclass(frozen=True)
class Shared:
    """Read-only parts of a sweep.

    Args:
        teacher: the frozen late-interaction encoder.
        index: the documents' token vectors, by the teacher.
        english: the row of each distinct English text of the bitext in `vectors`.
        vectors: the teacher's token vectors of those texts.
        built: seconds spent on each part that had to be built; empty where all was cached.
    """

    teacher: TokenEncoder
    index: TokenIndex
    english: Mapping[str, int]
    vectors: RaggedEmbeddings
    built: Mapping[str, float]


def prepare(spec: RunSpec) -> Shared:
    """Everything the runs of `spec`'s sweep share, from the store or built into it."""
    store = ArtifactStore(spec.artifacts, announce=say)
    built: dict[str, float] = {}
    teacher_folder = _teacher(spec, store, built)
    teacher = _load_teacher(teacher_folder).to(spec.machine.device())
    teacher_print = _fingerprint(teacher_folder)
    index_folder = _index(spec, store, teacher, teacher_print, built)
    english = _distinct_english(spec)
    vectors_folder = _english_vectors(spec, store, english, teacher, teacher_print, built)
    return Shared(
        teacher=teacher,
        index=_load_index(index_folder),
        english={text: row for row, text in enumerate(english)},
        vectors=_load_vectors(vectors_folder),
        built=built,
    )


def all_texts(spec: RunSpec) -> list[str]:
    """Every text of the study, for a vocabulary that covers it.

    Dev and test queries are among them: a pruned vocabulary keeps the pieces they need, and the tokenizer
    of the `tiny` backbone, trained on them too, sees their words (not their relevance).
    """
    texts = list(spec.corpus.documents().texts)
    for pair in spec.corpus.relevant_pairs():
        texts += [pair.query, pair.document]
    for language in spec.languages.all:
        bitext = spec.corpus.bitext(language)
        texts += [*bitext.english, *bitext.translations]
        for split in ("dev", "test"):
            texts += spec.corpus.collection(language, split).queries.texts
    return texts


def _teacher(spec: RunSpec, store: ArtifactStore, built: dict[str, float]) -> Path:
    texts = all_texts(spec)
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
                teacher = spec.teacher.train(encoder, pairs, spec.machine, advance)
            save_encoder(teacher, folder / "encoder")

    return store.get_or_build("teacher", key, build)


def _index(
    spec: RunSpec, store: ArtifactStore, teacher: TokenEncoder, teacher_print: str, built: dict[str, float]
) -> Path:
    documents = spec.corpus.documents()
    key = {
        "recipe": RECIPE,
        "teacher": teacher_print,
        "documents": fingerprint_of_texts((*documents.ids, *documents.texts)),
    }

    def build(folder: Path) -> None:
        with _timed("index", built, f"{len(documents)} documents"), progress("index") as advance:
            TokenIndex.build(folder, documents.ids, _stretches(teacher, documents.texts, advance))

    return store.get_or_build("index", key, build)


def _stretches(
    teacher: TokenEncoder, texts: Sequence[str], progress: Callable[[int, int], None]
) -> Iterator[RaggedEmbeddings]:
    """The documents' vectors, a stretch at a time, so that memory does not grow with the collection."""
    for start in range(0, len(texts), STRETCH):
        yield teacher.encode(texts[start : start + STRETCH], "document")
        progress(min(start + STRETCH, len(texts)), len(texts))


def _english_vectors(
    spec: RunSpec,
    store: ArtifactStore,
    english: tuple[str, ...],
    teacher: TokenEncoder,
    teacher_print: str,
    built: dict[str, float],
) -> Path:
    key = {"recipe": RECIPE, "teacher": teacher_print, "texts": fingerprint_of_texts(english)}

    def build(folder: Path) -> None:
        with _timed("english", built, f"{len(english)} English texts"), progress("english") as advance:
            ragged = teacher.encode(english, "query", progress=advance)
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
def _load_index(folder: Path) -> TokenIndex:
    return TokenIndex.load(folder)


@lru_cache(maxsize=2)
def _load_vectors(folder: Path) -> RaggedEmbeddings:
    return RaggedEmbeddings(np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "offsets.npy"))
