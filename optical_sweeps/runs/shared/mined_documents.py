"""The teacher's best documents for the English texts of the bitext, in the artifact store."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from optical_sweeps.artifacts import ArtifactStore
from optical_sweeps.console import Advance, echo, progress
from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
from optical_sweeps.retrieval.index import TokenIndex
from optical_sweeps.retrieval.maxsim import search
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.mined import MinedDocuments

RECIPE = 1
"""Raised when a change of code changes what an unchanged key builds."""

STRETCH = 2048
"""Texts searched for at a time, between reports of progress."""


def mine(
    spec: RunSpec,
    store: ArtifactStore,
    teacher_print: str,
    english: Sequence[str],
    vectors: RaggedEmbeddings,
    index_of: Callable[[Documents], TokenIndex],
    built: dict[str, float],
    checked: Callable[[Advance], Advance] = lambda advance: advance,
) -> dict[str, MinedDocuments]:
    """For each language the best documents of its collection for the English side of its bitext.

    Args:
        english: the distinct English texts; `vectors` are the teacher's of them.
    """
    row_of = {text: row for row, text in enumerate(english)}
    found: dict[str, MinedDocuments] = {}
    first_id = 0
    for documents, languages in _collections(spec):
        rows = np.array(sorted({row_of[text] for of in languages for text in spec.corpus.bitext(of).english}))
        key = {
            "recipe": RECIPE,
            "teacher": teacher_print,
            "index": spec.index.numbers,
            "documents": documents.fingerprint(),
            "texts": fingerprint_of_texts(english[row] for row in rows),
            "count": spec.training.mined_documents,
        }
        index = index_of(documents)

        def build(folder: Path, rows: Int64[np.ndarray, " E"] = rows, index: TokenIndex = index) -> None:
            start = time.perf_counter()
            with progress("mining") as advance:
                best = best_documents(
                    index, vectors, rows, spec.training.mined_documents, spec.machine.device(), checked(advance)
                )
            np.save(folder / "best.npy", best)
            built["mined"] = built.get("mined", 0.0) + time.perf_counter() - start
            echo(f"mined: documents for {len(rows)} English texts in {built['mined']:.1f} s")

        best = np.load(store.get_or_build("mined", key, build) / "best.npy")
        of_set = MinedDocuments(rows, best, index.vectors_of, first_id)
        found |= dict.fromkeys(languages, of_set)
        first_id += len(index)
    return found


def best_documents(
    index: TokenIndex,
    vectors: RaggedEmbeddings,
    rows: Int64[np.ndarray, " E"],
    count: int,
    device: str = "cpu",
    advance: Advance = lambda done, total: None,
) -> Int64[np.ndarray, "E k"]:
    """Numbers of the `count` best documents for each of these texts, by MaxSim; -1 where fewer were found."""
    best = np.full((len(rows), count), -1, np.int64)
    number_of = {name: number for number, name in enumerate(index.ids)}
    for start in range(0, len(rows), STRETCH):
        own = rows[start : start + STRETCH]
        queries = [vectors[int(row)] for row in own]
        offsets = np.cumsum([0, *map(len, queries)])
        run = search(
            index,
            [str(row) for row in own],
            RaggedEmbeddings(np.concatenate(queries), offsets),
            count,
            device=device,
        )
        for place, names in enumerate(run.documents, start=start):
            best[place, : len(names)] = [number_of[name] for name in names]
        advance(start + len(own), len(rows))
    return best


def _collections(spec: RunSpec) -> list[tuple[Documents, tuple[str, ...]]]:
    """The distinct document sets, in a fixed order, each with the languages whose queries search it."""
    sets: dict[str, Documents] = {}
    languages: dict[str, list[str]] = {}
    for language in sorted(spec.languages.all):
        documents = spec.corpus.collection(language, "test").documents
        sets.setdefault(documents.fingerprint(), documents)
        languages.setdefault(documents.fingerprint(), []).append(language)
    return [(sets[print_], tuple(languages[print_])) for print_ in sorted(sets)]
