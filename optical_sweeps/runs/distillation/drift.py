"""How far a student has moved from its teacher: diagnostics of dev queries and of English dev texts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optical_sweeps.corpora.collections import Collection
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.spec.run_spec import RunSpec

TEXTS = 128
"""Dev queries, and English texts, that are encoded: about 0.2 s with a small encoder on one core."""


@dataclass(frozen=True)
class DriftProbe:
    """Measures a student on a fixed sample of dev queries of all languages, and on English texts.

    The English texts are documents judged relevant to the sampled queries, so that no student was trained on
    them. If no English document is judged, they are a sample of the bitext's English texts.

    - `drift/query_mean_norm`, `drift/english_mean_norm`: the norm of the mean of all token vectors. It is 1 if
      all tokens have one vector, and rises when a student collapses towards a common direction.
    - `drift/english_similarity`: MaxSim of the student's tokens of an English text with the teacher's tokens of
      the same text, averaged over the student's tokens and then over texts; 1 for the teacher itself.

    Args:
        teacher: the teacher's token vectors of `english`.
        side: the side of retrieval as which texts are encoded.
    """

    queries: Sequence[str]
    english: Sequence[str]
    teacher: RaggedEmbeddings
    side: Side

    @classmethod
    def of_run(cls, spec: RunSpec, shared: SharedResources) -> "DriftProbe":
        """The probe of a run: at most `TEXTS` queries and texts, spread evenly."""
        side: Side = "document" if spec.objective.trains and "query" not in spec.student.sides else "query"
        dev = [spec.corpus.collection(language, "dev") for language in spec.languages.all]
        queries = [(one, row) for one in dev for row in range(len(one.queries))]
        sample = [queries[row] for row in spread(len(queries))]
        english = relevant_english(sample) or english_of_bitext(spec)
        vectors = shared.teacher.encode(english, side)
        with_tokens = [row for row in range(len(english)) if len(vectors[row])]
        return cls(
            [one.queries.texts[row] for one, row in sample],
            [english[row] for row in with_tokens],
            vectors.take(with_tokens),
            side,
        )

    def measure(self, student: TokenEncoder) -> dict[str, float]:
        """The diagnostics of a student, by name."""
        queries, english = student.encode(self.queries, self.side), student.encode(self.english, self.side)
        similarities = [
            float((english[text] @ self.teacher[text].T).max(1).mean()) for text in range(len(english))
        ]
        return {
            "drift/query_mean_norm": mean_norm(queries),
            "drift/english_mean_norm": mean_norm(english),
            "drift/english_similarity": float(np.mean(similarities)),
        }


def relevant_english(queries: Sequence[tuple[Collection, int]]) -> list[str]:
    """For each query, given by its row, the English document of highest grade; every document once."""
    texts: dict[str, None] = {}
    for collection, rows in itertools.groupby(queries, key=lambda query: query[0]):
        if collection.document_language != "en":
            continue
        grades = [collection.qrels.get(collection.queries.ids[row], {}) for _, row in rows]
        best = [max(judged, key=lambda id: (judged[id], id)) for judged in grades if any(judged.values())]
        positions = collection.documents.positions(best)
        texts |= {collection.documents.texts[positions[id]]: None for id in best}
    return list(texts)


def english_of_bitext(spec: RunSpec) -> list[str]:
    """At most `TEXTS` English texts of the bitext, the same for every draw."""
    sides = [spec.corpus.bitext(language).english for language in spec.languages.all]
    texts = [side[row] for side in sides for row in spread(len(side))]
    return [texts[row] for row in spread(len(texts))]


def mean_norm(vectors: RaggedEmbeddings) -> float:
    """The norm of the mean of all token vectors."""
    return float(np.linalg.norm(vectors.vectors.mean(0, dtype=np.float64)))


def spread(size: int) -> list[int]:
    """At most `TEXTS` positions, spread evenly over `size`.

    >>> spread(3)
    [0, 1, 2]
    """
    count = min(size, TEXTS)
    return [place * size // count for place in range(count)]
