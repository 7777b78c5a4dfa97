"""What a search returns, and its TREC file.

The order of a ranking is by score, descending, then by document id (code point), ascending. Tools that read a
TREC file break ties each in its own way (trec_eval by id, descending), so a file never holds a tie:
`write_run` lowers the score of a document tied with the one above it to the next smaller float32. So every
reader sees our order.
"""

import gzip
import itertools
import math
import os
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from optical_sweeps.errors import UserError

_DENORMALS = 0x007F_FFFF  # how many there are below the smallest normal float32


@dataclass(frozen=True)
class RetrievalRun:
    """A ranking for each query.

    Args:
        query_ids: without duplicates.
        documents: ids of the documents found for each query, best first, without duplicates; may be none.
        scores: theirs, finite, in the order of score, then document id. Single precision, as trec_eval reads.

    Raises:
        ValueError: any of this does not hold.
    """

    query_ids: tuple[str, ...]
    documents: tuple[tuple[str, ...], ...]
    scores: tuple[Float32[np.ndarray, " _"], ...]

    def __post_init__(self) -> None:
        if not len(self.query_ids) == len(self.documents) == len(self.scores):
            counts = f"{len(self.query_ids)}, {len(self.documents)} and {len(self.scores)}"
            raise ValueError(f"queries, rankings and lists of scores are {counts} in number")
        if len(set(self.query_ids)) != len(self.query_ids):
            raise ValueError("a query id occurs twice")
        for query, documents, scores in zip(self.query_ids, self.documents, self.scores, strict=True):
            if problem := _misrank(documents, scores):
                raise ValueError(f"query {query!r}: {problem}")

    def __len__(self) -> int:
        return len(self.query_ids)


def write_run(run: RetrievalRun, path: Path, tag: str = "optical-sweeps") -> None:
    """Write `query Q0 document rank score tag` lines; gzipped where the name ends in .gz.

    Whole or not at all; the same run gives the same bytes.

    Raises:
        ValueError: an id or the tag is empty or holds white space, which the format cannot carry.
    """
    _refuse_white_space(run, tag)
    with _replacing(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as file:
                file.writelines(_lines(run, tag))
        else:
            raw.writelines(_lines(run, tag))
        raw.flush()
        os.fsync(raw.fileno())


def read_run(path: Path) -> RetrievalRun:
    """Read a TREC run file, .gz or plain, in any order of lines; ranked by score as trec_eval does.

    Raises:
        UserError: no such file, a truncated one, or a malformed line, with its number.
    """
    if not path.exists():
        raise UserError(f"{path}: no such run file")
    run = _read_columns(path)
    return run if run is not None else _read_lines(path)


def _read_columns(path: Path) -> RetrievalRun | None:
    """Read what tools write: single blanks, sound lines. None for anything else, which is read line by line.

    5 million lines take 3 s in place of 15.
    """
    import pyarrow
    from pyarrow import compute, csv

    names = ["query", "q0", "document", "rank", "score", "tag"]
    types = {"query": pyarrow.string(), "document": pyarrow.string(), "score": pyarrow.float64()}
    try:
        with pyarrow.input_stream(path, compression="gzip" if path.suffix == ".gz" else None) as stream:
            table = csv.read_csv(
                stream,
                csv.ReadOptions(column_names=names),
                csv.ParseOptions(delimiter=" ", quote_char=False, ignore_empty_lines=False),
                csv.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=[], strings_can_be_null=False
                ),
            )
    except (pyarrow.ArrowInvalid, OSError):
        return None
    found = table["query"].combine_chunks().dictionary_encode()
    queries: list[str] = found.dictionary.to_pylist()
    with np.errstate(over="ignore"):
        scores = table["score"].to_numpy().astype(np.float32)
    blank = compute.match_substring_regex(table["document"], r"^$|\s")
    if not len(table) or not np.isfinite(scores).all() or compute.any(blank).as_py():
        return None
    if any(name.split() != [name] for name in queries):
        return None
    numbers = found.indices.to_numpy()
    documents = table["document"].to_numpy()
    if (np.diff(numbers) < 0).any() or ((np.diff(scores) > 0) & (np.diff(numbers) == 0)).any():
        order = np.lexsort((-scores, numbers))
        numbers, scores, documents = numbers[order], scores[order], documents[order]
    bounds = np.searchsorted(numbers, np.arange(len(queries) + 1)).tolist()
    ranked = []
    for start, end in itertools.pairwise(bounds):
        own, own_scores = tuple(documents[start:end]), scores[start:end]
        if (np.diff(own_scores) == 0).any():  # ties are in the order of ids
            by_id = dict(zip(own, own_scores.tolist(), strict=True))
            if len(by_id) < len(own):
                return None
            own, own_scores = _ranked(by_id)
        ranked.append((own, own_scores))
    try:
        return RetrievalRun(tuple(queries), tuple(r[0] for r in ranked), tuple(r[1] for r in ranked))
    except ValueError:  # a document stands twice: where is found line by line
        return None


def _read_lines(path: Path) -> RetrievalRun:
    """Read any run file; raises UserError with the number of the line that is not right."""
    rankings: dict[str, dict[str, float]] = {}
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                query, document, score = _parse(line, path, number)
                ranking = rankings.setdefault(query, {})
                if document in ranking:
                    raise UserError(f"{path}:{number}: document {document} occurs twice for query {query}")
                ranking[document] = score
    except UnicodeDecodeError:
        raise UserError(f"{path}:{number + 1}: not UTF-8") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}:{number + 1}: damaged gzip file ({error})") from None
    ranked = [_ranked(ranking) for ranking in rankings.values()]
    return RetrievalRun(tuple(rankings), tuple(r[0] for r in ranked), tuple(r[1] for r in ranked))


def strictly_decreasing(scores: Float32[np.ndarray, " k"]) -> Float32[np.ndarray, " k"]:
    """Scores in descending order with every tie lowered to the next smaller float32, so that none is left.

    Denormal numbers are passed over: a process that flushes them to zero would see ties.

    >>> strictly_decreasing(np.array([1, 1, 0.5], dtype=np.float32)).tolist()
    [1.0, 0.9999999403953552, 0.5]
    """
    places = _place(scores)
    steps = np.arange(len(places))
    return _at_place(np.minimum.accumulate(places + steps) - steps)


def _place(scores: Float32[np.ndarray, " k"]) -> Int64[np.ndarray, " k"]:
    """The number of each score on the line of normal float32 numbers, 0 for 0."""
    bits = np.ascontiguousarray(scores).view(np.int32).astype(np.int64)
    magnitude = np.maximum((bits & 0x7FFF_FFFF) - _DENORMALS, 0)
    return np.asarray(np.where(bits < 0, -magnitude, magnitude))


def _at_place(places: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, " k"]:
    magnitude = np.where(places == 0, 0, np.abs(places) + _DENORMALS).astype(np.int32)
    values = magnitude.view(np.float32)
    return np.asarray(np.where(places < 0, -values, values))


def _misrank(documents: tuple[str, ...], scores: Float32[np.ndarray, " k"]) -> str | None:
    """What is wrong with a ranking, in words; None where all is right."""
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
            tied = f"{documents[place]!r} and {documents[place + 1]!r}"
            return f"tied documents {tied} are not in the order of ids"
    return None


def _ranked(ranking: dict[str, float]) -> tuple[tuple[str, ...], np.ndarray]:
    documents = sorted(ranking)
    scores = np.array([ranking[document] for document in documents], dtype=np.float32)
    order = np.argsort(-scores, kind="stable")  # stable: ties stay in the order of ids
    return tuple(documents[place] for place in order), scores[order]


def _lines(run: RetrievalRun, tag: str) -> Iterator[bytes]:
    for query, documents, scores in zip(run.query_ids, run.documents, run.scores, strict=True):
        # Nine significant digits give back every float32.
        printed = strictly_decreasing(scores).tolist()
        ranked = enumerate(zip(documents, printed, strict=True), start=1)
        text = "".join(
            f"{query} Q0 {document} {rank} {score:.9g} {tag}\n" for rank, (document, score) in ranked
        )
        yield text.encode()


def _parse(line: str, path: Path, number: int) -> tuple[str, str, float]:
    fields = line.split()
    if len(fields) != 6:
        raise UserError(
            f"{path}:{number}: {len(fields)} columns in place of 6 (query Q0 document rank score tag)"
        )
    try:
        score = float(fields[4])
    except ValueError:
        score = math.nan
    if not abs(score) <= 3.4028234e38:
        raise UserError(f"{path}:{number}: score {fields[4]} is not a finite number")
    return fields[0], fields[2], score


def _refuse_white_space(run: RetrievalRun, tag: str) -> None:
    if tag.split() != [tag]:
        raise ValueError(f"run tag {tag!r} is empty or holds white space")
    for query, documents in zip(run.query_ids, run.documents, strict=True):
        names = (query, *documents)
        if " ".join(names).split() != list(names):
            bad = next(name for name in names if name.split() != [name])
            raise ValueError(f"id {bad!r} is empty or holds white space, which a TREC run file cannot carry")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
