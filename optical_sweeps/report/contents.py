"""Everything that a report shows of a sweep, as one JSON value."""

import os
import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.report.intervals import CONFIDENCE, Intervals
from optical_sweeps.report.query_scores import QueryScores, Texts, packed, read_query_scores
from optical_sweeps.report.sweep_runs import SweepRun, read_runs, varied_keys
from optical_sweeps.sweeps.grid import Grid

Contents = dict[str, Any]
TextsOf = Callable[[SweepRun, Sequence[tuple[str, str]]], Texts]
"""Of a finished run and (language, query id)s: their texts, as far as they are known."""

MEASURE, SPLIT = "nDCG@10", "test"
ROOM = 2_900_000
"""Characters for scores and texts of queries: what 5 MB leave beside the plotting library and 1,000 runs."""


def gather(
    grid: Grid,
    page: Path,
    *,
    texts_of: TextsOf = lambda run, queries: {},
    room: int = ROOM,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Contents:
    """Read a sweep's folders.

    Args:
        page: where the report will lie; links are relative to it.
        texts_of: gives queries their texts.
        room: characters for per-query scores.
        progress: told (steps done, all).

    Raises:
        UserError: no run is finished, a record is broken, or the runs' language groups differ.
    """
    progress(0, 4)
    runs = read_runs(grid)
    done = [run for run in runs if run.state == "done"]
    if not done:
        raise UserError(f"{grid.folder}: no finished run to report; see `optical-sweeps status {grid.folder}`")
    groups = _groups(done)
    measures, splits = _measured(done)
    measure, split = _first(MEASURE, measures), _first(SPLIT, splits)
    progress(1, 4)
    scores = read_query_scores({run.id: run.folder for run in done}, measure, split)
    progress(2, 4)
    keys = varied_keys(runs)
    intervals = Intervals(scores, groups)
    slices = [*(f"group:{name}" for name in _in_order(groups)), *groups["all"]]
    points = _points(runs, keys, slices, intervals)
    progress(3, 4)
    queries, left_out = _queries(scores, texts_of, done, room)
    return {
        "title": grid.folder.resolve().name,
        "confidence": CONFIDENCE,
        "measures": measures,
        "splits": splits,
        "main": {"measure": measure, "split": split},
        "groups": {name: list(members) for name, members in groups.items()},
        "slices": slices,
        "keys": [_key(key, keys, runs) for key in keys],
        "runs": [_run(run, keys, slices, measures, splits, page) for run in runs],
        "points": points,
        "configs": _configs(runs),
        "queries": queries,
        "left_out": left_out,
        "provenance": _provenance(done),
    }


def _groups(done: Sequence[SweepRun]) -> dict[str, tuple[str, ...]]:
    found: dict[tuple[tuple[str, tuple[str, ...]], ...], str] = {}
    for run in done:
        groups = {
            key.partition(".")[2]: tuple(of)
            for key, of in run.config.items()
            if key.startswith("languages.") and of
        }
        found.setdefault(tuple(sorted(groups.items())), run.id)
    if len(found) > 1:
        raise UserError(
            f"languages: the groups of {', '.join(found.values())} differ; report sweeps of one study"
        )
    (items,) = found
    groups = dict(items)
    everyone = tuple(dict.fromkeys(name for group in _in_order(groups) for name in groups[group]))
    return {**groups, "all": everyone}


def _in_order(groups: Mapping[str, Any]) -> list[str]:
    order = {"low": 0, "high": 1, "all": 3}
    return sorted(groups, key=lambda name: (order.get(name, 2), name))


def _measured(done: Sequence[SweepRun]) -> tuple[list[str], list[str]]:
    splits = dict.fromkeys(split for run in done for split in run.measures)
    measures = dict.fromkeys(measure for run in done for split in run.measures.values() for measure in split)
    return list(measures), sorted(splits, key=lambda split: split != SPLIT)


def _first(wanted: str, among: Sequence[str]) -> str:
    return wanted if wanted in among else among[0]


def _points(
    runs: Sequence[SweepRun], keys: Sequence[str], slices: Sequence[str], intervals: Intervals
) -> list[dict[str, Any]]:
    """Runs that are the same but for their seeds, and the interval of their mean on every slice."""
    same: dict[tuple[str, ...], list[int]] = {}
    for number, run in enumerate(runs):
        if run.state == "done":
            values = (repr(run.config.get(key)) for key in keys) if run.trained else ()
            same.setdefault((run.objective, *values), []).append(number)
    points: list[dict[str, Any]] = [{"runs": numbers, "intervals": []} for numbers in same.values()]
    for objective in dict.fromkeys(run.objective for run in runs):
        curve = [point for point in points if runs[point["runs"][0]].objective == objective]
        for slice in slices:
            bounds = intervals.of([[runs[number].id for number in point["runs"]] for point in curve], slice)
            for point, of in zip(curve, bounds, strict=True):
                point["intervals"].append(_rounded(of))
    return points


def _rounded(bounds: tuple[float, float] | None) -> list[float] | None:
    return None if bounds is None else [round(bound, 5) for bound in bounds]


def _queries(
    scores: QueryScores, texts_of: TextsOf, done: Sequence[SweepRun], room: int
) -> tuple[dict[str, Any] | None, list[str]]:
    if not scores.queries:
        return None, ["per-query scores: the runs have none"]
    texts = texts_of(next(run for run in done if run.id in scores.runs), scores.queries)
    left_out = [] if texts else ["texts of queries: not at hand; ids are shown"]
    pack, more = packed(scores, texts, room)
    without = len(done) - len(scores.runs)
    if without:
        more.append(f"per-query scores of {without} runs: they have no per_query.parquet")
    return pack, [*left_out, *more]


def _key(key: str, keys: Sequence[str], runs: Sequence[SweepRun]) -> dict[str, Any]:
    """A varied key; its short name where that is the only one so called."""
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
) -> dict[str, Any]:
    record = run.record
    shown: dict[str, Any] = {
        "id": run.id,
        "label": run.label,
        "state": run.state,
        "href": urllib.parse.quote(Path(os.path.relpath(run.folder, page.parent)).as_posix() + "/"),
        "objective": run.objective,
        "trained": run.trained,
        "seed": run.seed if run.trained else None,
        "values": [run.config.get(key) if run.trained else None for key in keys],
    }
    if record:
        shown["scores"] = [
            [
                [_score(run.measures.get(split, {}).get(measure, {}).get(slice)) for slice in slices]
                for measure in measures
            ]
            for split in splits
        ]
        shown["seconds"] = record.get("timings", {}).get("total")
        shown["finished"] = record.get("finished")
    if run.message or run.cause:
        shown |= {"cause": run.cause, "message": run.message}
    return shown


def _score(value: Any) -> float | None:
    return round(float(value), 5) if isinstance(value, int | float) and value == value else None


def _configs(runs: Sequence[SweepRun]) -> dict[str, Any]:
    """What most runs say of each key, and by run what differs: [number of the key, value]."""
    done = [run for run in runs if run.record]
    keys = sorted({key for run in done for key in run.config})
    base = {}
    for key in keys:
        seen = Counter(_marked(run.config, key) for run in done)
        most = seen.most_common(1)[0][0]
        base[key] = next(_or_absent(run.config, key) for run in done if _marked(run.config, key) == most)
    return {
        "keys": keys,
        "base": [base[key] for key in keys],
        "differ": {
            run.id: [
                [number, _or_absent(run.config, key)]
                for number, key in enumerate(keys)
                if _or_absent(run.config, key) != base[key]
            ]
            for run in done
        },
    }


ABSENT = {"absent": True}
"""Stands for a key that a config has not; no flat config holds a mapping that is not empty."""


def _or_absent(config: Mapping[str, Any], key: str) -> Any:
    return config.get(key, ABSENT)


def _marked(config: Mapping[str, Any], key: str) -> str:
    return repr(_or_absent(config, key))


def _provenance(done: Sequence[SweepRun]) -> dict[str, Any]:
    """Facts and how many runs say so, the most frequent first."""
    return {
        "code": _counted(_code(run.record.get("code", {})) for run in done),
        "versions": {
            name: _counted(str(run.record.get("versions", {}).get(name, "unknown")) for run in done)
            for name in dict.fromkeys(name for run in done for name in run.record.get("versions", {}))
        },
        "hardware": _counted(_hardware(run.record.get("hardware", {})) for run in done),
        "memory_mb": max(
            (run.record.get("hardware", {}).get("peak_memory_mb") or 0 for run in done), default=0
        ),
        "seconds": sum(run.record.get("timings", {}).get("total") or 0 for run in done),
        "data": _counted(str(run.record.get("facts", {}).get("corpus", "unknown")) for run in done),
        "finished": [min(_times(done), default=None), max(_times(done), default=None)],
    }


def _times(done: Sequence[SweepRun]) -> list[str]:
    return [str(run.record["finished"]) for run in done if run.record.get("finished")]


def _counted(values: Any) -> list[list[Any]]:
    return [[value, count] for value, count in Counter(values).most_common()]


def _code(code: Mapping[str, Any]) -> str:
    commit = str(code.get("commit") or "no commit")
    return f"{code.get('version', 'unknown')}, {commit}{', with changes' if code.get('dirty') else ''}"


def _hardware(hardware: Mapping[str, Any]) -> str:
    names = ("device", "processor", "machine")
    words = [str(hardware[name]) for name in names if hardware.get(name)]
    return ", ".join([*words, f"{hardware.get('cores', '?')} cores"])
