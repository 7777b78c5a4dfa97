"""Scores of every query in every run, packed small enough for a web page.

A score in [0, 1] takes one byte: 0 to 250 are steps of .004, and 255 means that the run has no score for the
query. Runs with equal scores share a row. All rows are deflated together, query by query, because the scores of
one query are similar in all runs.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
from jaxtyping import Float, UInt8

from optical_sweeps.curves.tables.per_query_files import read_per_query
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.seeds import derive_seed

STEPS = 250
ABSENT = 255
LONGEST = 200
"""Characters shown of a text."""

Texts = Mapping[tuple[str, str], tuple[str, str]]
"""(language, query id) -> (text of the query, text of a relevant document)."""


@dataclass(frozen=True, eq=False)
class QueryScores:
    """The scores of every query in one measure on one split.

    Args:
        runs: ids of the R runs that have per-query scores.
        queries: (language, query id) of each of the Q columns, sorted.
        values: NaN if the run has no score for the query.
    """

    runs: tuple[str, ...]
    queries: tuple[tuple[str, str], ...]
    values: Float[np.ndarray, "R Q"]


class PackedScores(TypedDict):
    """What the page needs to restore the scores.

    Args:
        runs: the row of each run.
        count: number of distinct rows.
        steps, absent: see `quantised`.
        rows: deflated bytes in base64, query by query.
        texts: deflated JSON in base64: language -> [query id, text, relevant document] in order of the columns.
    """

    runs: dict[str, int]
    count: int
    steps: int
    absent: int
    rows: str
    texts: str


def read_query_scores(folders: Mapping[str, Path], measure: str, split: str) -> QueryScores:
    """Read the runs' `per_query.parquet`; runs without the file are left out.

    Raises:
        UserError: a file is not a per-query table.
    """
    columns: dict[tuple[str, str], int] = {}
    rows: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for run, folder in folders.items():
        path = folder / "per_query.parquet"
        if path.exists():
            keys, values = _read(path, measure, split)
            numbers = [columns.setdefault(key, len(columns)) for key in keys]
            rows[run] = (np.array(numbers, dtype=np.int64), values)
    table = np.full((len(rows), len(columns)), np.nan)
    for row, (numbers_of_run, values) in enumerate(rows.values()):
        table[row, numbers_of_run] = values
    order = sorted(columns)
    return QueryScores(tuple(rows), tuple(order), table[:, [columns[key] for key in order]])


def packed(scores: QueryScores, texts: Texts, room: int) -> tuple[PackedScores, list[str]]:
    """Scores and texts in at most `room` characters, and lines that say what was left out.

    Raises:
        ValueError: not even one query fits.
    """
    total, left_out = len(scores.queries), []
    if texts and len(_pack(scores, texts)["texts"]) > room // 2:
        texts = {}
        left_out.append("texts of queries: they would take more than half of the space; ids are shown")
    result = _pack(scores, texts)
    while (size := len(result["rows"]) + len(result["texts"])) > room and len(scores.queries) > 1:
        keep = max(int(len(scores.queries) * min(0.9, 0.95 * room / size)), 1)
        scores = _sample(scores, keep)
        result = _pack(scores, texts)
    if len(scores.queries) < total:
        left_out.append(
            f"per-query scores: only a random sample of {len(scores.queries):,} of {total:,} queries is shown"
        )
    return result, left_out


def quantised(values: Float[np.ndarray, "R Q"]) -> UInt8[np.ndarray, "R Q"]:
    """One byte per score.

    >>> quantised(np.array([[0.0, 0.6309, 1.0, np.nan]])).tolist()
    [[0, 158, 250, 255]]
    """
    whole = np.rint(np.clip(np.nan_to_num(values), 0, 1) * STEPS)
    return np.where(np.isnan(values), ABSENT, whole).astype(np.uint8)


def _pack(scores: QueryScores, texts: Texts) -> PackedScores:
    rows, row_of = np.unique(quantised(scores.values), axis=0, return_inverse=True)
    languages: dict[str, list[list[str]]] = {}
    for language, query in scores.queries:
        shown = [_cut(text) for text in texts.get((language, query), ("", ""))]
        languages.setdefault(language, []).append([query, *shown] if any(shown) else [query])
    return {
        "runs": dict(zip(scores.runs, row_of.reshape(-1).tolist(), strict=True)),
        "count": len(rows),
        "steps": STEPS,
        "absent": ABSENT,
        "rows": _deflated(np.ascontiguousarray(rows.T).tobytes()),  # query by query
        "texts": _deflated(json.dumps(languages, ensure_ascii=False, separators=(",", ":")).encode()),
    }


def _sample(scores: QueryScores, keep: int) -> QueryScores:
    """`keep` queries drawn without replacement."""
    generator = np.random.default_rng(derive_seed("report.queries", 0))
    chosen = np.sort(generator.choice(len(scores.queries), keep, replace=False))
    queries = tuple(scores.queries[place] for place in chosen)
    return replace(scores, queries=queries, values=scores.values[:, chosen])


def _read(path: Path, measure: str, split: str) -> tuple[list[tuple[str, str]], np.ndarray]:
    """(language, query id) and score of each row."""
    try:
        table = read_per_query(path, [split], [measure])
        languages, ids = (table[name].to_pylist() for name in ("language", "query_id"))
        values = np.asarray(table["value"]).astype(float)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = first_line(error)
        raise UserError(f"{path}: not a per-query table ({reason}); run that point again") from error
    return list(zip(languages, ids, strict=True)), values


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _deflated(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()
