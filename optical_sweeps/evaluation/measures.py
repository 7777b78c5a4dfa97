"""Effectiveness measures, computed by ranx, with every choice it leaves open made here.

- Order: by score, then document id, which `RetrievalRun` guarantees; ranx is given places, never scores.
- Queries: all of the qrels count, as in `trec_eval -c`. One that the run lacks, or that has no relevant
  document, counts 0. Queries of the run without judgements are passed over.
- Relevance: grades of 1 and more; nDCG takes the grade itself as gain (Jarvelin and Kekalainen 2002), as
  trec_eval does.

ranx is called below its own Qrels and Run: those compare documents by a 64-bit hash rounded to 53 bits, take
20 s to compile, and leave numba at one thread after a small evaluation. Its kernels want ids as numbers; ours
are exact.
"""

import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float64

from optical_sweeps.corpora.collections import Qrels
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.runs import RetrievalRun

KERNELS: Mapping[str, str] = MappingProxyType(
    {"nDCG": "ndcg", "MAP": "average_precision", "MRR": "reciprocal_rank", "Recall": "recall"}
)
"""Our names of measures, and ranx's of the functions."""

BY_ANSWERS = "AnswerRecall"
"""Whether an answer is among the first so many tokens of the ranked texts: R@2kt of XOR-Retrieve."""

_CHUNK = 512  # queries; they are padded to the one with most relevant documents
_NO_DOCUMENT = -1.0
# numba's thread layer here aborts the process when two threads enter it at once
_KERNEL_LOCK = threading.Lock()


@dataclass(frozen=True, order=True)
class Measure:
    """A measure of the first `cutoff` documents of a ranking, or tokens of their texts; prints as `nDCG@10`.

    >>> str(Measure.parse("nDCG@10"))
    'nDCG@10'
    """

    name: str
    cutoff: int

    def __str__(self) -> str:
        return f"{self.name}@{self.cutoff}"

    @property
    def by_answers(self) -> bool:
        """Whether it looks for answers in texts, and its cutoff counts tokens."""
        return self.name == BY_ANSWERS

    @classmethod
    def parse(cls, text: str) -> "Measure":
        """Read `name@cutoff`. The cutoff is not optional: a measure must not depend on the run's depth.

        Raises:
            UserError: an unknown name, or no cutoff of 1 or more.
        """
        match = re.fullmatch(r"(\w+)@([1-9]\d*)", str(text))
        if not match or match[1] not in (*KERNELS, BY_ANSWERS):
            known = ", ".join(f"{name}@k" for name in (*KERNELS, BY_ANSWERS))
            raise UserError(
                f"evaluation.measures: {text!r} is not a measure; known are {known}, such as nDCG@10"
            )
        return cls(match[1], int(match[2]))


@dataclass(frozen=True)
class QueryScores:
    """Values of measures for each query of the qrels.

    Args:
        query_ids: in the order of ids.
        values: by measure, in the order of `query_ids`, in [0, 1].
    """

    query_ids: tuple[str, ...]
    values: Mapping[Measure, Float64[np.ndarray, " Q"]]

    def mean(self, measure: Measure) -> float:
        """Over all queries."""
        return float(self.values[measure].mean())

    def means(self) -> dict[Measure, float]:
        return {measure: self.mean(measure) for measure in self.values}


def evaluate(run: RetrievalRun, qrels: Qrels, measures: Iterable[Measure]) -> QueryScores:
    """Every measure for every query of `qrels`.

    Raises:
        ValueError: the qrels hold no query.
    """
    if not qrels:
        raise ValueError("the qrels hold no query")
    measures = tuple(measures)
    query_ids = tuple(sorted(qrels))
    values = {measure: np.empty(len(query_ids)) for measure in measures}
    depth = max((measure.cutoff for measure in measures), default=0)
    rankings = dict(zip(run.query_ids, run.documents, strict=True))
    for start in range(0, len(query_ids), _CHUNK):
        chunk = query_ids[start : start + _CHUNK]
        judged, ranked = _arrays([(qrels[query], rankings.get(query, ())[:depth]) for query in chunk])
        for measure in measures:
            values[measure][start : start + len(chunk)] = _kernel(measure, judged, ranked)
    return QueryScores(query_ids, values)


def macro_average(
    by_language: Mapping[str, Mapping[Measure, float]], groups: Mapping[str, Sequence[str]]
) -> dict[str, dict[Measure, float]]:
    """The mean of each measure over the languages of each group, every language counting the same.

    Raises:
        UserError: a group is empty, bears the name of a language, or names a language that was not evaluated.
    """
    means: dict[str, dict[Measure, float]] = {}
    for group, languages in groups.items():
        if group in by_language:
            raise UserError(f"group {group!r}: a language has that name; call the group otherwise")
        if not languages:
            raise UserError(f"group {group!r}: it names no language")
        if missing := [language for language in languages if language not in by_language]:
            raise UserError(
                f"group {group!r}: {', '.join(missing)} not evaluated; evaluated are {', '.join(by_language)}"
            )
        measures = by_language[languages[0]]
        means[group] = {
            measure: sum(by_language[language][measure] for language in languages) / len(languages)
            for measure in measures
        }
    return means


def warm_up(progress: Callable[[int, int], None] = lambda done, total: None) -> float:
    """Load ranx's kernels, compiling those that numba's cache does not hold; returns the seconds it took.

    numba keeps compiled kernels on disk for each type of machine, so that only the first process compiles:
    where NUMBA_CACHE_DIR says, else in ranx's own folder if it can be written, else in the user's cache
    folder.

    Args:
        progress: told (kernels ready, all of them).

    Raises:
        UserError: numba can write no cache.
    """
    start = time.perf_counter()
    progress(0, len(KERNELS))
    judged, ranked = _arrays([({"d1": 2, "d2": 1}, ("d2", "d3", "d1"))])
    for ready, name in enumerate(KERNELS, start=1):
        _kernel(Measure(name, 10), judged, ranked)
        progress(ready, len(KERNELS))
    return time.perf_counter() - start


def is_warm() -> bool:
    """Whether numba's cache holds every kernel, so that `warm_up` will be quick. Imports ranx (2 s)."""
    metrics = _ranx_metrics()
    for name in KERNELS.values():
        dispatcher = getattr(metrics, name).__globals__[f"_{name}_parallel"]
        if not any(Path(dispatcher.stats.cache_path).glob(f"*_{name}_parallel-*.nbc")):
            return False
    return True


def _arrays(
    queries: Sequence[tuple[Mapping[str, int], Sequence[str]]],
) -> tuple[Float64[np.ndarray, "Q judged 2"], Float64[np.ndarray, "Q ranked 2"]]:
    """Qrels, by grade descending, and rankings as ranx's kernels want them: rows of (document number, grade).

    Relevant documents are numbered query by query; all others share one number, since no measure tells them
    apart.
    """
    width = max(sum(grade > 0 for grade in grades.values()) for grades, _ in queries)
    depth = max(len(ranking) for _, ranking in queries)
    judged = np.full((len(queries), max(width, 1), 2), _NO_DOCUMENT)  # the grade of padding is below 1, too
    ranked = np.full((len(queries), max(depth, 1), 2), _NO_DOCUMENT)
    for row, (grades, ranking) in enumerate(queries):
        relevant = sorted(
            (document for document in grades if grades[document] > 0), key=lambda d: (-grades[d], d)
        )
        numbers = {document: float(number) for number, document in enumerate(relevant)}
        judged[row, : len(relevant), 0] = range(len(relevant))
        judged[row, : len(relevant), 1] = [grades[document] for document in relevant]
        ranked[row, : len(ranking), 0] = [numbers.get(document, _NO_DOCUMENT) for document in ranking]
    return judged, ranked


def _kernel(
    measure: Measure, judged: Float64[np.ndarray, "Q judged 2"], ranked: Float64[np.ndarray, "Q ranked 2"]
) -> Float64[np.ndarray, " Q"]:
    function = getattr(_ranx_metrics(), KERNELS[measure.name])
    with _KERNEL_LOCK, warnings.catch_warnings():
        # numba warns of ranx's own loop counters when it compiles them
        warnings.filterwarnings("ignore", message="unsafe cast from uint64 to int64")
        values: np.ndarray = function(judged, ranked, measure.cutoff)
    return values


def _ranx_metrics() -> Any:
    """`ranx.metrics`, imported at first use (2 s: it brings pandas, scipy and matplotlib)."""
    try:
        import ranx.metrics
    except RuntimeError as error:
        if "cache" not in str(error):
            raise
        raise UserError(
            "ranx: numba finds no folder to keep compiled functions in; "
            "set NUMBA_CACHE_DIR to one that can be written"
        ) from error
    return ranx.metrics
