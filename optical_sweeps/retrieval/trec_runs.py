"""The result of a search, and its TREC run file.

A ranking is ordered by score, descending, then by document id (code point), ascending. Tools that read a TREC
file break ties in different ways (trec_eval by id, descending), so a file never contains a tie: `write_run`
lowers the score of a document tied with the previous one to the next smaller float32. Every reader then sees
our order.
"""

import gzip
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from optical_sweeps.atomic_files import replacing
from optical_sweeps.corpora.readers.lines import BYTE_ORDER_MARK, decoded, raw_lines, usable
from optical_sweeps.corpora.readers.opening import GZIP_MAGIC, DamagedFileError, open_bytes
from optical_sweeps.errors import UserError
from optical_sweeps.limits import read_at_most

SMALLEST_NORMAL = np.finfo(np.float32).tiny
FLOAT32_MAX = 3.4028234e38
READ_AT_ONCE = 2**26
"""Bytes of a file that is read at once, in half the time; a larger one is read line by line."""


@dataclass(frozen=True)
class RetrievalRun:
    """A ranking for each query.

    Args:
        query_ids: without duplicates.
        documents: document ids of each query's ranking, best first, without duplicates; may be empty.
        scores: the documents' scores, finite, in the order of score, then document id. In single precision, as
            trec_eval reads them.

    Raises:
        ValueError: one of these conditions does not hold.
    """

    query_ids: tuple[str, ...]
    documents: tuple[tuple[str, ...], ...]
    scores: tuple[Float32[np.ndarray, " _"], ...]

    def __post_init__(self) -> None:
        if not len(self.query_ids) == len(self.documents) == len(self.scores):
            counts = f"{len(self.query_ids)}, {len(self.documents)} and {len(self.scores)}"
            raise ValueError(f"numbers of queries, rankings and lists of scores differ: {counts}")
        if len(set(self.query_ids)) != len(self.query_ids):
            raise ValueError("a query id occurs twice")
        for query, documents, scores in zip(self.query_ids, self.documents, self.scores, strict=True):
            if problem := _ranking_problem(documents, scores):
                raise ValueError(f"query {query!r}: {problem}")

    def __len__(self) -> int:
        return len(self.query_ids)


def write_run(run: RetrievalRun, path: Path, tag: str = "optical-sweeps") -> None:
    """Write `query Q0 document rank score tag` lines atomically; gzipped if the name ends in .gz.

    The same run gives the same bytes.

    Raises:
        ValueError: an id or the tag is empty or contains white space, which the format does not allow.
    """
    _refuse_white_space(run, tag)
    with replacing(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as file:
                file.writelines(_lines(run, tag))
        else:
            raw.writelines(_lines(run, tag))
        raw.flush()
        os.fsync(raw.fileno())


def read_run(path: Path) -> RetrievalRun:
    """Read a TREC run file, plain or compressed, with lines in any order; ranked by score as trec_eval does.

    Raises:
        UserError: the file does not exist, is damaged, is larger than `limits` allow, or has a malformed line.
    """
    if not path.exists():
        raise UserError(f"{path}: no such run file")
    if path.suffix == ".gz" and not _is_gzip(path):
        raise UserError(f"{path}:1: damaged gzip (another format); fetch the file again")
    with suppress(UnicodeDecodeError, DamagedFileError), open_bytes(path) as file:  # the line is named below
        content = read_at_most(file, READ_AT_ONCE + 1)
        if len(content) <= READ_AT_ONCE:
            run = _ranked_run(content.removeprefix(BYTE_ORDER_MARK).decode("utf-8"))
            if run is not None:
                return run
    rankings: dict[str, dict[str, float]] = {}
    for number, line in enumerate(raw_lines(path, may_be_empty=True), start=1):
        query, document, score = _parse(usable(decoded(path, number, line)), path, number)
        ranking = rankings.setdefault(query, {})
        if document in ranking:
            raise UserError(f"{path}:{number}: document {document} occurs twice for query {query}")
        ranking[document] = score
    ranked = [_ranked(ranking) for ranking in rankings.values()]
    return RetrievalRun(
        tuple(rankings), tuple(documents for documents, _ in ranked), tuple(scores for _, scores in ranked)
    )


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def _ranked_run(text: str) -> RetrievalRun | None:
    """The run of a file in the format of `write_run`: single spaces, queries in blocks, descending scores.

    None for any other file, which `read_run` then reads line by line, in twice the time.
    """
    lines, fields = text.removesuffix("\n").split("\n"), text.split()
    if len(fields) != 6 * len(lines) or any(line.count(" ") != 5 for line in lines):
        return None
    documents = fields[2::6]
    try:
        scores = np.array(list(map(float, fields[4::6])))
    except ValueError:
        return None
    if not (np.abs(scores) <= FLOAT32_MAX).all():
        return None
    single = scores.astype(np.float32)
    starts = [0, *(place for place, pair in enumerate(pairwise(fields[::6]), start=1) if pair[0] != pair[1])]
    bounds = list(pairwise([*starts, len(lines)]))
    rising = np.diff(single) >= 0
    rising[np.array(starts[1:], dtype=int) - 1] = False
    queries = tuple(fields[6 * start] for start in starts)
    rankings = tuple(tuple(documents[start:end]) for start, end in bounds)
    if rising.any() or len(set(queries)) < len(queries) or any(len(set(one)) < len(one) for one in rankings):
        return None
    return RetrievalRun(queries, rankings, tuple(single[start:end] for start, end in bounds))


def strictly_decreasing(scores: Float32[np.ndarray, " k"]) -> Float32[np.ndarray, " k"]:
    """Scores in descending order, with every tied score lowered to the next smaller float32.

    Denormal numbers are skipped: a process that flushes them to zero would see ties.

    >>> strictly_decreasing(np.array([1, 1, 0.5], dtype=np.float32)).tolist()
    [1.0, 0.9999999403953552, 0.5]
    """
    lowered = np.where(np.abs(scores) < SMALLEST_NORMAL, np.float32(0), scores)
    for place in np.arange(1, len(lowered)) if (np.diff(lowered) >= 0).any() else ():
        if lowered[place] >= lowered[place - 1]:
            lowered[place] = _next_smaller(lowered[place - 1])
    return lowered


def _next_smaller(score: np.float32) -> np.float32:
    """The largest normal float32, or 0, below a score."""
    if score == 0:
        return -SMALLEST_NORMAL
    return np.float32(0) if score == SMALLEST_NORMAL else np.nextafter(score, np.float32(-np.inf))


def _ranking_problem(documents: tuple[str, ...], scores: Float32[np.ndarray, " k"]) -> str | None:
    """What is wrong with a ranking; None if it is valid."""
    if len(documents) != len(scores):
        return f"{len(documents)} documents but {len(scores)} scores"
    if len(set(documents)) != len(documents):
        return "a document occurs twice"
    if not np.isfinite(scores).all():
        return "a score is not finite"
    steps = np.diff(scores)
    if (steps > 0).any():
        return "scores are not in descending order"
    for place in np.flatnonzero(steps == 0):
        if documents[place] > documents[place + 1]:
            return (
                f"tied documents {documents[place]!r} and {documents[place + 1]!r} are not in the order of ids"
            )
    return None


def _ranked(ranking: Mapping[str, float]) -> tuple[tuple[str, ...], Float32[np.ndarray, " k"]]:
    documents = sorted(ranking)
    scores = np.array([ranking[document] for document in documents], dtype=np.float32)
    order = np.argsort(-scores, kind="stable")  # stable: ties stay in the order of ids
    return tuple(documents[place] for place in order), scores[order]


def _lines(run: RetrievalRun, tag: str) -> Iterator[bytes]:
    for query, documents, scores in zip(run.query_ids, run.documents, run.scores, strict=True):
        ranked = enumerate(zip(documents, strictly_decreasing(scores).tolist(), strict=True), start=1)
        # Nine significant digits identify every float32.
        yield "".join(
            f"{query} Q0 {document} {rank} {score:.9g} {tag}\n" for rank, (document, score) in ranked
        ).encode()


def _parse(line: str, path: Path, number: int) -> tuple[str, str, float]:
    fields = line.split()
    if len(fields) != 6:
        raise UserError(
            f"{path}:{number}: {len(fields)} columns instead of 6 (query Q0 document rank score tag)"
        )
    try:
        score = float(fields[4])
    except ValueError:
        score = math.nan
    if not abs(score) <= FLOAT32_MAX:
        raise UserError(f"{path}:{number}: score {fields[4]} is not a finite number")
    return fields[0], fields[2], score


def _refuse_white_space(run: RetrievalRun, tag: str) -> None:
    if tag.split() != [tag]:
        raise ValueError(f"run tag {tag!r} is empty or contains white space")
    for query, documents in zip(run.query_ids, run.documents, strict=True):
        names = (query, *documents)
        if " ".join(names).split() != list(names):
            bad = next(name for name in names if name.split() != [name])
            raise ValueError(
                f"id {bad!r} is empty or contains white space, which a TREC run file does not allow"
            )
