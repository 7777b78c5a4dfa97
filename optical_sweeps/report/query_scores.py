"""Scores of every query under every run, small enough to travel in a page.

A score in [0, 1] takes one byte: 0 to 250 stand for steps of .004, 255 for a query that the run has not
answered. Runs with the same scores share a row. All rows are deflated together, query by query: scores of one
query under many runs are much alike, and deflate finds that.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

STEPS = 250
ABSENT = 255
LONGEST = 200
"""Characters of a text that are shown."""

Texts = Mapping[tuple[str, str], tuple[str, str]]
"""(language, query id) -> (text of the query, text of a relevant document)."""


@dataclass(frozen=True, eq=False)
class QueryScores:
    """One measure on one split, of every query.

    Args:
        runs: ids of the runs that have per-query scores.
        queries: (language, query id) of every column, in order of language, then id.
        values: NaN where the run has no such query.
    """

    runs: tuple[str, ...]
    queries: tuple[tuple[str, str], ...]
    values: Float[np.ndarray, "R Q"]

    def of(self, run: str, language: str) -> dict[str, float]:
        """By query id, of one run on one language."""
        row = self.values[self.runs.index(run)]
        return {
            q: float(row[i]) for i, (of, q) in enumerate(self.queries) if of == language and row[i] == row[i]
        }


def read_query_scores(folders: Mapping[str, Path], measure: str, split: str) -> QueryScores:
    """From the runs' `per_query.parquet`; runs without the file are left out.

    Raises:
        UserError: a file is not a per-query table.
    """
    columns: dict[tuple[str, str], int] = {}
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    known: tuple[bytes, np.ndarray] | None = None
    for run, folder in folders.items():
        path = folder / "per_query.parquet"
        if not path.exists():
            continue
        languages, ids, values = _read(path, measure, split)
        print_ = json.dumps([languages, ids]).encode()
        if known is None or known[0] != print_:  # runs of one sweep answer the same queries
            here = [columns.setdefault(key, len(columns)) for key in zip(languages, ids, strict=True)]
            known = (print_, np.array(here, dtype=np.int64))
        found[run] = (known[1], values)
    table = np.full((len(found), len(columns)), np.nan)
    for row, (places, values) in enumerate(found.values()):
        table[row, places] = values
    order = sorted(columns, key=lambda key: key)
    return QueryScores(tuple(found), tuple(order), table[:, [columns[key] for key in order]])


def packed(scores: QueryScores, texts: Texts, room: int) -> tuple[dict[str, Any], list[str]]:
    """What the page carries, in at most `room` characters, and lines that say what it had to leave out.

    Raises:
        ValueError: not even one query fits.
    """
    total, left_out = len(scores.queries), []
    if texts and len(_pack(scores, texts)["texts"]) > room // 2:
        texts = {}
        left_out.append("texts of queries: they would take more than half of the room; ids are shown")
    result = _pack(scores, texts)
    while (size := len(result["rows"]) + len(result["texts"])) > room and len(scores.queries) > 1:
        keep = max(int(len(scores.queries) * min(0.9, 0.95 * room / size)), 1)
        scores = _drawn(scores, keep)
        result = _pack(scores, texts)
    if len(scores.queries) < total:
        left_out.append(
            f"per-query scores: {len(scores.queries):,} of {total:,} queries are here, drawn evenly"
        )
    return result, left_out


def quantised(values: Float[np.ndarray, "R Q"]) -> UInt8[np.ndarray, "R Q"]:
    """One byte a score.

    >>> quantised(np.array([[0.0, 0.6309, 1.0, np.nan]])).tolist()
    [[0, 158, 250, 255]]
    """
    whole = np.rint(np.clip(np.nan_to_num(values), 0, 1) * STEPS)
    return np.where(np.isnan(values), ABSENT, whole).astype(np.uint8)


def _pack(scores: QueryScores, texts: Texts) -> dict[str, Any]:
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


def _drawn(scores: QueryScores, keep: int) -> QueryScores:
    generator = np.random.default_rng(derive_seed("report.queries", 0))
    chosen = np.sort(generator.choice(len(scores.queries), keep, replace=False))
    queries = tuple(scores.queries[place] for place in chosen)
    return replace(scores, queries=queries, values=scores.values[:, chosen])


def _read(path: Path, measure: str, split: str) -> tuple[list[str], list[str], np.ndarray]:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.ParquetFile(path).read(columns=["split", "language", "query_id", "measure", "value"])
        rows = (np.asarray(table["split"]) == split) & (np.asarray(table["measure"]) == measure)
        languages, ids = (np.asarray(table[name])[rows].tolist() for name in ("language", "query_id"))
        return languages, ids, np.asarray(table["value"])[rows].astype(float)
    except (OSError, ValueError, KeyError, ArrowException) as error:
        first = next(iter(str(error).splitlines()), "")
        raise UserError(f"{path}: not a per-query table ({first}); run that point again") from error


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _deflated(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()
