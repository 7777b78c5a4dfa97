"""Everything that a report shows about a sweep, as one JSON value."""

import os
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from optical_sweeps.curves.statistics.tuning_effort import (
    effort_from,
    expected_best,
    expected_best_interval,
)
from optical_sweeps.errors import UserError
from optical_sweeps.report.intervals import CONFIDENCE, Intervals
from optical_sweeps.report.query_scores import PackedScores, QueryScores, Texts, packed, read_query_scores
from optical_sweeps.report.sweep_runs import SweepRun, read_runs, varied_keys
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.terminal_text import count_text

TextsOf = Callable[[SweepRun, Sequence[tuple[str, str]]], Texts]
"""(finished run, (language, query id)s) -> texts of the queries that are known."""

MEASURE, SPLIT = "nDCG@10", "test"
ROOM = 2_900_000
"""Characters for scores and texts of queries: 5 MB minus the plotting library and the data of 1,000 runs."""

ABSENT = {"absent": True}
"""Replaces the value of a key that a config does not have; a flat config has no non-empty mapping as a
value."""

Groups = dict[str, tuple[str, ...]]
"""Name of a group -> its languages."""


class VariedKey(TypedDict):
    """A config key that varies: its display name, and whether all values are numbers."""

    key: str
    name: str
    numeric: bool


class Point(TypedDict):
    """Runs that only differ in their seed, by their number, and the interval of their mean for each slice."""

    runs: list[int]
    intervals: list[list[float] | None]


class Contents(TypedDict):
    """The data of the page; `assets/*.js` reads these keys."""

    title: str
    confidence: float
    measures: list[str]
    splits: list[str]
    main: dict[str, str]
    groups: dict[str, list[str]]
    slices: list[str]
    keys: list[VariedKey]
    runs: list[dict[str, object]]
    drift: list[str]
    points: list[Point]
    configs: dict[str, object]
    queries: PackedScores | None
    left_out: list[str]
    tuning: list[dict[str, object]]
    provenance: dict[str, object]


def gather(
    grid: Grid,
    page: Path,
    *,
    texts_of: TextsOf = lambda run, queries: {},
    room: int = ROOM,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Contents:
    """Read the folders of a sweep.

    Args:
        page: path of the report; links are relative to it.
        texts_of: returns the texts of queries.
        room: characters for per-query scores.
        progress: called with (steps done, total).

    Raises:
        UserError: no run is finished, a record is broken, or the runs' language groups differ.
    """
    progress(0, 4)
    runs = read_runs(grid)
    done = [run for run in runs if run.state == "done"]
    if not done:
        raise UserError(
            f"{grid.folder}: no finished run to report; see `optical-sweeps sweep status {grid.folder}`"
        )
    groups = _groups(done)
    names = {split for run in done for split in run.measures}
    splits = sorted(names, key=lambda split: (split != SPLIT, split))
    measures = list(dict.fromkeys(name for run in done for split in run.measures.values() for name in split))
    if not measures:
        raise UserError(f"{grid.folder}: the records of its runs contain no measure; run the sweep again")
    measure = MEASURE if MEASURE in measures else measures[0]
    progress(1, 4)
    scores = read_query_scores({run.id: run.folder for run in done}, measure, splits[0])
    progress(2, 4)
    keys = varied_keys(runs)
    slices = [*(f"group:{name}" for name in _ordered(groups)), *groups["all"]]
    points = _points(runs, keys, slices, Intervals(scores, groups))
    drift = list(dict.fromkeys(name for run in done for name in run.record.get("drift", {})))
    progress(3, 4)
    queries, left_out = _queries(scores, texts_of, done, room)
    return {
        "title": grid.folder.resolve().name,
        "confidence": CONFIDENCE,
        "measures": measures,
        "splits": splits,
        "main": {"measure": measure, "split": splits[0]},
        "groups": {name: list(members) for name, members in groups.items()},
        "slices": slices,
        "keys": [_varied_key(key, keys, runs) for key in keys],
        "runs": [_run(run, keys, slices, measures, splits, page) for run in runs],
        "drift": drift,
        "points": points,
        "configs": _configs(done),
        "queries": queries,
        "left_out": left_out,
        "tuning": _tuning(done),
        "provenance": _provenance(done),
    }


def _groups(done: Sequence[SweepRun]) -> Groups:
    """The language groups that all runs share, and `all`."""
    first, groups = done[0], _own_groups(done[0])
    for run in done:
        if _own_groups(run) != groups:
            raise UserError(f"languages: the groups of {first.id}, {run.id} differ; report sweeps of one study")
    languages = dict.fromkeys(name for group in _ordered(groups) for name in groups[group])
    return {**groups, "all": tuple(languages)}


def _own_groups(run: SweepRun) -> Groups:
    prefix = "languages."
    values = {key.removeprefix(prefix): run.config[key] for key in run.config if key.startswith(prefix)}
    return {name: tuple(value) for name, value in values.items() if isinstance(value, list | tuple) and value}


def _ordered(groups: Iterable[str]) -> list[str]:
    order = {"low": 0, "high": 1, "all": 3}
    return sorted(groups, key=lambda name: (order.get(name, 2), name))


def _points(
    runs: Sequence[SweepRun], keys: Sequence[str], slices: Sequence[str], intervals: Intervals
) -> list[Point]:
    by_settings: dict[tuple[str, ...], list[int]] = {}
    for number, run in enumerate(runs):
        if run.state == "done":
            values = (repr(run.config.get(key)) for key in keys) if run.trained else ()
            by_settings.setdefault((run.objective, *values), []).append(number)
    points: list[Point] = [{"runs": numbers, "intervals": []} for numbers in by_settings.values()]
    for objective in dict.fromkeys(run.objective for run in runs):
        curve = [point for point in points if runs[point["runs"][0]].objective == objective]
        ids = [[runs[number].id for number in point["runs"]] for point in curve]
        for slice in slices:
            for point, bounds in zip(curve, intervals.along(ids, slice), strict=True):
                rounded = None if bounds is None else [round(bound, 5) for bound in bounds]
                point["intervals"].append(rounded)
    return points


def _queries(
    scores: QueryScores, texts_of: TextsOf, done: Sequence[SweepRun], room: int
) -> tuple[PackedScores | None, list[str]]:
    """Per-query scores, and lines that say what is left out."""
    if not scores.queries:
        return None, ["per-query scores: the runs have none"]
    texts = texts_of(next(run for run in done if run.id in scores.runs), scores.queries)
    left_out = [] if texts else ["texts of queries: not available; ids are shown"]
    scores_and_texts, more = packed(scores, texts, room)
    without = len(done) - len(scores.runs)
    if without:
        more.append(f"per-query scores of {count_text(without, 'run')}: no per_query.parquet")
    return scores_and_texts, [*left_out, *more]


def _varied_key(key: str, keys: Sequence[str], runs: Sequence[SweepRun]) -> VariedKey:
    """A varied key; its display name is the last part if no other key has the same."""
    last = key.rpartition(".")[2]
    name = key if sum(other.rpartition(".")[2] == last for other in keys) > 1 or last == "_target_" else last
    values = [run.config[key] for run in runs if run.trained and key in run.config]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return {"key": key, "name": name, "numeric": numeric}


def _run(
    run: SweepRun,
    keys: Sequence[str],
    slices: Sequence[str],
    measures: Sequence[str],
    splits: Sequence[str],
    page: Path,
) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": run.id,
        "label": run.label,
        "state": run.state,
        "href": urllib.parse.quote(Path(os.path.relpath(run.folder, page.parent)).as_posix() + "/"),
        "objective": run.objective,
        "trained": run.trained,
        "seed": run.seed if run.trained else None,
        "values": [run.config.get(key) if run.trained else None for key in keys],
    }
    if run.record:
        entry["scores"] = [
            [
                [_rounded(run.measures.get(split, {}).get(measure, {}).get(slice)) for slice in slices]
                for measure in measures
            ]
            for split in splits
        ]
        entry["drift"] = {name: _rounded(value) for name, value in run.record.get("drift", {}).items()}
        entry["seconds"] = run.record.get("timings", {}).get("total")
        entry["finished"] = run.record.get("finished")
    if run.message or run.cause:
        entry |= {"cause": run.cause, "message": run.message}
    return entry


def _rounded(value: object) -> float | None:
    return round(float(value), 5) if isinstance(value, int | float) and value == value else None


def _configs(done: Sequence[SweepRun]) -> dict[str, object]:
    """The most frequent value of each key, and for each run the [number of the key, value] of the others."""
    keys = sorted({key for run in done for key in run.config})
    base = []
    for key in keys:
        values = {repr(value): value for value in (run.config.get(key, ABSENT) for run in done)}
        counts = Counter(repr(run.config.get(key, ABSENT)) for run in done)
        base.append(values[counts.most_common(1)[0][0]])
    return {
        "keys": keys,
        "base": base,
        "differ": {
            run.id: [
                [number, run.config.get(key, ABSENT)]
                for number, key in enumerate(keys)
                if run.config.get(key, ABSENT) != base[number]
            ]
            for run in done
        },
    }


def _tuning(done: Sequence[SweepRun]) -> list[dict[str, object]]:
    """The effort behind each tuned objective, and the expected best dev score of k trials."""
    tuned = {run.objective: run.record["config"].get("tuned") for run in done}
    rows = []
    for objective, section in tuned.items():
        if not section:
            continue
        effort = effort_from(section)
        best, (low, high) = expected_best(effort.scores), expected_best_interval(effort.scores)
        curves = {"best": best, "low": low, "high": high}
        rows.append({
            "objective": objective, "chosen": effort.chosen, "trials": len(effort.scores) + effort.failed,
            "failed": effort.failed, "pairs": effort.pairs, "seconds": effort.seconds,
            **{name: [round(float(value), 5) for value in values] for name, values in curves.items()},
        })  # fmt: skip
    return rows


def _provenance(done: Sequence[SweepRun]) -> dict[str, object]:
    """Facts with the number of runs that state them, the most frequent first."""
    records = [run.record for run in done]
    hardware = [record.get("hardware", {}) for record in records]
    versions = [record.get("versions", {}) for record in records]
    finished = [str(record["finished"]) for record in records if record.get("finished")]
    return {
        "code": _counted(_code(record.get("code", {})) for record in records),
        "versions": {
            name: _counted(str(known.get(name, "unknown")) for known in versions)
            for name in dict.fromkeys(name for known in versions for name in known)
        },
        "hardware": _counted(map(_hardware, hardware)),
        "memory_mb": max((machine.get("peak_memory_mb") or 0 for machine in hardware), default=0),
        "seconds": sum(record.get("timings", {}).get("total") or 0 for record in records),
        "data": _counted(str(record.get("facts", {}).get("corpus", "unknown")) for record in records),
        "finished": [min(finished, default=None), max(finished, default=None)],
    }


def _counted(values: Iterable[str]) -> list[tuple[str, int]]:
    return Counter(values).most_common()


def _code(code: Mapping[str, object]) -> str:
    commit = str(code.get("commit") or "no commit")
    return f"{code.get('version', 'unknown')}, {commit}{', with changes' if code.get('dirty') else ''}"


def _hardware(hardware: Mapping[str, object]) -> str:
    parts = [str(hardware[name]) for name in ("device", "processor", "machine") if hardware.get(name)]
    return ", ".join([*parts, f"{hardware.get('cores', '?')} cores"])
