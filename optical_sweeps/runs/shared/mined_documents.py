"""The teacher's best documents for the drawn English sentences, stored by sentence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from optical_sweeps.console import Advance
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.retrieval.token_index import TokenIndex
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.shared.sentence_store import Arrays, SentenceArtifact, stored_sentences
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.bitext_data import DrawnBitext
from optical_sweeps.training.mined_pairs import MinedDocuments

STRETCH = 2048
"""Texts searched at a time, between reports of progress."""


@dataclass(frozen=True, eq=False)
class BestDocuments(SentenceArtifact):
    """Document numbers of the best documents for a text, best first; -1 fills up short lists.

    Args:
        index: the teacher's index of `documents`; `index_precision` names its number format.
        count: documents per text.
    """

    resources: SharedResources
    index: TokenIndex
    index_precision: str
    documents: Documents
    count: int
    device: str

    kind = "mined"
    recipe = 2

    def key(self) -> Mapping[str, object]:
        return {
            "teacher": self.resources.teacher_fingerprint,
            "index": self.index_precision,
            "documents": self.documents.fingerprint(),
            "count": self.count,
        }

    def compute(self, texts: Sequence[str], advance: Advance) -> tuple[Int64[np.ndarray, " bounds"], Arrays]:
        vectors = self.resources.english_vectors(texts, "query")
        best = np.full((len(texts), self.count), -1, np.int64)
        for start in range(0, len(texts), STRETCH):
            rows = np.arange(start, min(start + STRETCH, len(texts)))
            run = search(self.index, list(map(str, rows)), vectors.take(rows), self.count, device=self.device)
            number_of = self.documents.positions(name for names in run.documents for name in names)
            for text, names in enumerate(run.documents, start=start):
                best[text, : len(names)] = [number_of[name] for name in names]
            advance(start + len(rows), len(texts))
        return np.arange(len(texts) + 1) * self.count, {"best": best.ravel()}


def mine(spec: RunSpec, resources: SharedResources, drawn: DrawnBitext) -> dict[str, MinedDocuments]:
    """The best documents of each language's collection for the drawn English sentences of the language."""
    mined: dict[str, MinedDocuments] = {}
    first_id = 0
    for documents, languages in _collections(spec):
        rows = np.unique(np.concatenate([drawn.english_rows(language) for language in languages]))
        index = resources.index_of(documents)
        artifact = BestDocuments(
            resources=resources,
            index=index,
            index_precision=spec.index.vector_precision,
            documents=documents,
            count=spec.training.mined_documents,
            device=spec.machine.device(),
        )
        stored = stored_sentences(resources.builds, artifact, drawn.english.take(rows))
        lists = [shard.array("best").reshape(-1, artifact.count) for shard in stored.shards]
        best = np.array(
            [lists[source][row] for source, row in zip(stored.source, stored.rows, strict=True)], np.int64
        ).reshape(-1, artifact.count)
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
