"""Effectiveness measures, computed by ranx with these conventions.

- Order: by score, then document id, which `RetrievalRun` guarantees; ranx is given ranks, never scores.
- Queries: all queries of the qrels count, as in `trec_eval -c`. A query that the run lacks, or that has no
  relevant document, counts 0. Queries without judgements are ignored.
- Relevance: grades of 1 or more. nDCG uses the grade itself as gain (Jarvelin and Kekalainen 2002), as
  trec_eval does.

ranx's kernels are called directly, without its classes Qrels and Run: those compare documents by a 64-bit hash
rounded to 53 bits, take 20 s to compile, and leave numba with one thread after a small evaluation. The kernels
take ids as numbers, and ours are exact.
"""

import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64

from optical_sweeps.corpora.collections import Qrels
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.ranx_kernels import NO_CACHE_FOLDER, ranx_metrics
from optical_sweeps.retrieval.trec_runs import RetrievalRun

KERNELS: Mapping[str, str] = MappingProxyType(
    {"nDCG": "ndcg", "MAP": "average_precision", "MRR": "reciprocal_rank", "Recall": "recall"}
)
"""Name of a measure -> ranx's function."""

BY_ANSWERS = "AnswerRecall"
"""Whether the first k tokens of the ranked texts contain an answer: R@2kt of XOR-Retrieve."""

_CHUNK = 512  # queries; each chunk is padded to its largest number of relevant documents
_NO_DOCUMENT = -1.0
# numba's thread layer aborts the process if two threads enter it at once
_KERNEL_LOCK = threading.Lock()


@dataclass(frozen=True, order=True)
class Measure:
    """A measure of the first `cutoff` documents or tokens of a ranking; prints as `nDCG@10`.

    >>> str(Measure.parse("nDCG@10"))
    'nDCG@10'
    """

    name: str
    cutoff: int

    def __str__(self) -> str:
        return f"{self.name}@{self.cutoff}"

    @property
    def by_answers(self) -> bool:
        """Whether the measure searches texts for answers, so that its cutoff counts tokens."""
        return self.name == BY_ANSWERS

    @classmethod
    def parse(cls, text: str) -> "Measure":
        """Parse `name@cutoff`. The cutoff is required, because a measure must not depend on the run's depth.

        Raises:
            UserError: the name is unknown, or there is no cutoff of 1 or more.
        """
        match = re.fullmatch(r"(\w+)@([1-9]\d*)", str(text))
        if not match or match[1] not in (*KERNELS, BY_ANSWERS):
            known = ", ".join(f"{name}@k" for name in (*KERNELS, BY_ANSWERS))
            raise UserError(
                f"evaluation.measures: {text!r} is not a measure; the measures are {known}, such as nDCG@10"
            )
        return cls(match[1], int(match[2]))


@dataclass(frozen=True)
class QueryScores:
    """Values of measures for each query of the qrels.

    Args:
        query_ids: sorted.
        values: measure -> values in [0, 1], in the order of `query_ids`.
    """

    query_ids: tuple[str, ...]
    values: Mapping[Measure, Float64[np.ndarray, " Q"]]

    def mean(self, measure: Measure) -> float:
        """The mean over all queries."""
        return float(self.values[measure].mean())

    def means(self) -> dict[Measure, float]:
        return {measure: self.mean(measure) for measure in self.values}


def evaluate(run: RetrievalRun, qrels: Qrels, measures: Iterable[Measure]) -> QueryScores:
    """Every measure for every query of `qrels`.

    Raises:
        ValueError: the qrels have no query.
    """
    if not qrels:
        raise ValueError("the qrels have no query")
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
    """The mean of each measure over the languages of each group, with equal weights.

    Raises:
        UserError: a group is empty, has the name of a language, or includes a language that was not evaluated.
    """
    means: dict[str, dict[Measure, float]] = {}
    for group, languages in groups.items():
        if group in by_language:
            raise UserError(f"group {group!r}: a language has that name; rename the group")
        if not languages:
            raise UserError(f"group {group!r}: it has no language")
        if missing := [language for language in languages if language not in by_language]:
            known = ", ".join(by_language)
            raise UserError(f"group {group!r}: {', '.join(missing)} not evaluated; the languages are {known}")
        measures = by_language[languages[0]]
        means[group] = {
            measure: sum(by_language[language][measure] for language in languages) / len(languages)
            for measure in measures
        }
    return means


def warm_up(progress: Callable[[int, int], None] = lambda done, total: None) -> float:
    """Load ranx's kernels, compile those that are not in numba's cache, and return the seconds that this took.

    numba stores compiled kernels for each type of machine, so that only the first process compiles. It stores
    them in NUMBA_CACHE_DIR, otherwise in ranx's own folder if that is writable, otherwise in the user's cache
    folder.

    Args:
        progress: called with the number of kernels that are ready, and the number of all kernels.

    Raises:
        UserError: numba cannot write a cache.
    """
    start = time.perf_counter()
    progress(0, len(KERNELS))
    judged, ranked = _arrays([({"d1": 2, "d2": 1}, ("d2", "d3", "d1"))])
    for ready, name in enumerate(KERNELS, start=1):
        _kernel(Measure(name, 10), judged, ranked)
        progress(ready, len(KERNELS))
    return time.perf_counter() - start


def check_cache_folder() -> None:
    """Check that numba can store ranx's kernels, without importing ranx or compiling anything.

    ranx refuses to be imported otherwise, which would be found when a trained student is to be evaluated.

    Raises:
        UserError: neither NUMBA_CACHE_DIR, nor ranx's own folder, nor the user's cache folder is writable.
    """
    import numba

    (folder,) = find_spec("ranx").submodule_search_locations  # type: ignore[union-attr, misc]
    functions: dict[str, Callable[[], None]] = {}
    # numba chooses the cache folder by the file that defines a function
    exec(compile("def probe(): pass", str(Path(folder, "metrics", "ndcg.py")), "exec"), functions)
    try:
        numba.njit(cache=True)(functions["probe"])
    except RuntimeError as error:
        raise UserError(NO_CACHE_FOLDER) from error


def is_warm() -> bool:
    """Whether numba's cache has every kernel, so that `warm_up` is quick."""
    metrics = ranx_metrics()
    for name in KERNELS.values():
        dispatcher = getattr(metrics, name).__globals__[f"_{name}_parallel"]
        if not any(Path(dispatcher.stats.cache_path).glob(f"*_{name}_parallel-*.nbc")):
            return False
    return True


def _arrays(
    queries: Sequence[tuple[Mapping[str, int], Sequence[str]]],
) -> tuple[Float64[np.ndarray, "Q judged 2"], Float64[np.ndarray, "Q ranked 2"]]:
    """Qrels, sorted by descending grade, and rankings for ranx's kernels: rows of (document number, grade).

    Relevant documents are numbered within each query. All others share one number, because no measure
    distinguishes them.
    """
    width = max(sum(grade > 0 for grade in grades.values()) for grades, _ in queries)
    depth = max(len(ranking) for _, ranking in queries)
    judged = np.full((len(queries), max(width, 1), 2), _NO_DOCUMENT)  # grade and document of the padding
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
    function = getattr(ranx_metrics(), KERNELS[measure.name])
    with _KERNEL_LOCK, warnings.catch_warnings():
        # numba warns about ranx's loop counters when it compiles them
        warnings.filterwarnings("ignore", message="unsafe cast from uint64 to int64")
        values: np.ndarray = function(judged, ranked, measure.cutoff)
    return values
