"""The teacher's best documents for the English texts of the bitext."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.shared.shared_artifact import ArtifactBuilds, SharedArtifact
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.mined_pairs import MinedDocuments

STRETCH = 2048
"""Texts searched at a time, between reports of progress."""


@dataclass(frozen=True, eq=False)
class BestDocuments(SharedArtifact[Int64[np.ndarray, "E k"]]):
    """Document numbers of the best documents for each of E English texts, best first; -1 fills up short lists.

    Args:
        index: the teacher's index of `documents`; `index_precision` names its number format.
        texts: all English texts, with their teacher vectors.
        rows: the positions of the E texts in `texts`.
        count: k, documents per text.
    """

    teacher_fingerprint: str
    index: TokenIndex
    index_precision: str
    documents: Documents
    texts: tuple[str, ...]
    vectors: RaggedEmbeddings
    rows: Int64[np.ndarray, " E"]
    count: int
    device: str

    kind = "mined"

    def key(self) -> Mapping[str, object]:
        return {
            "teacher": self.teacher_fingerprint,
            "index": self.index_precision,
            "documents": self.documents.fingerprint(),
            "texts": fingerprint_of_texts(self.texts[row] for row in self.rows),
            "count": self.count,
        }

    def build(self, folder: Path, builds: ArtifactBuilds) -> None:
        best = np.full((len(self.rows), self.count), -1, np.int64)
        number_of = {name: number for number, name in enumerate(self.index.ids)}
        with builds.progress("mined") as advance:
            for start in range(0, len(self.rows), STRETCH):
                rows = self.rows[start : start + STRETCH]
                run = search(
                    self.index, list(map(str, rows)), self.vectors.take(rows), self.count, device=self.device
                )
                for text, names in enumerate(run.documents, start=start):
                    best[text, : len(names)] = [number_of[name] for name in names]
                advance(start + len(rows), len(self.rows))
        np.save(folder / "best.npy", best)

    def load(self, folder: Path) -> Int64[np.ndarray, "E k"]:
        best: Int64[np.ndarray, "E k"] = np.load(folder / "best.npy")
        return best

    def source(self) -> str:
        return f"{len(self.rows)} English texts"


def mine(
    spec: RunSpec,
    builds: ArtifactBuilds,
    teacher_fingerprint: str,
    row_of: Mapping[str, int],
    vectors: RaggedEmbeddings,
    index_of: Callable[[Documents], TokenIndex],
) -> dict[str, MinedDocuments]:
    """The best documents of each language's collection for the English side of its bitext.

    Args:
        row_of: the distinct English texts with their rows in `vectors`.
    """
    mined: dict[str, MinedDocuments] = {}
    first_id = 0
    for documents, languages in _collections(spec):
        texts = (spec.corpus.bitext(language).english for language in languages)
        rows = np.array(sorted({row_of[text] for english in texts for text in english}))
        index = index_of(documents)
        artifact = BestDocuments(
            teacher_fingerprint=teacher_fingerprint,
            index=index,
            index_precision=spec.index.vector_precision,
            documents=documents,
            texts=tuple(row_of),
            vectors=vectors,
            rows=rows,
            count=spec.training.mined_documents,
            device=spec.machine.device(),
        )
        best = builds.get(artifact)
        mined |= dict.fromkeys(languages, MinedDocuments(rows, best, index.vectors_of, first_id))
        first_id += len(index)
    return mined


def _collections(spec: RunSpec) -> Iterator[tuple[Documents, list[str]]]:
    """The distinct document sets in a fixed order, each with the languages whose queries search it."""
    sets: dict[str, Documents] = {}
    languages: dict[str, list[str]] = {}
    for language in sorted(spec.languages.all):
        documents = spec.corpus.collection(language, "test").documents
        fingerprint = documents.fingerprint()
        sets.setdefault(fingerprint, documents)
        languages.setdefault(fingerprint, []).append(language)
    for fingerprint in sorted(sets):
        yield sets[fingerprint], languages[fingerprint]
