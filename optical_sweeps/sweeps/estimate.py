"""The estimated cost of runs, from the records of similar runs."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run import Run, Workload
from optical_sweeps.runs.run_folder import RunFolder

MAX_RECORDS = 200
"""The number of records that are read, newest first."""

MAX_MEASURED_FOLDERS = 20
"""The number of run folders whose size on disk is measured."""


@dataclass(frozen=True)
class PastRun:
    """The cost of one finished run.

    Args:
        workload: with its amount 0 if it trained nothing, and its devices 0 if it ran on a CPU.
        size: bytes of its folder; None if it was not measured.
    """

    workload: Workload
    training_seconds: float
    other_seconds: float
    size: int | None


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of runs; for `unknown` of them no record is similar.

    Args:
        hours: of one machine that performs one run after another.
        size: bytes on disk.
        records: the number of past runs that the estimate is based on.
        source: the sweeps that these belong to, in words.
    """

    runs: int
    unknown: int
    hours: float
    gpu_hours: float
    size: int
    records: int
    source: str


def estimate(workloads: Iterable[Workload], past: Sequence[PastRun], source: str) -> Estimate:
    """The total cost of runs: for each, the median of the past runs most similar to it.

    Training time is scaled by the amount of work; the rest of a run's time is not.
    """
    costs_of: dict[Workload, _Cost | None] = {}
    costs = []
    for workload in workloads:
        if workload not in costs_of:
            costs_of[workload] = _cost(workload, past)
        costs.append(costs_of[workload])
    known = [cost for cost in costs if cost is not None]
    return Estimate(
        runs=len(costs),
        unknown=len(costs) - len(known),
        hours=sum(cost.seconds for cost in known) / 3600,
        gpu_hours=sum(cost.gpu_seconds for cost in known) / 3600,
        size=int(sum(cost.size for cost in known)),
        records=len(past),
        source=source,
    )


def past_runs_near(sweep: Path, run_type: type[Run]) -> tuple[list[PastRun], str]:
    """The finished runs of the sweep, or else of its neighbours, and a description of their source."""
    if own := _past_runs(sweep.glob("*/record.json"), run_type):
        return own, "this sweep"
    if others := _past_runs(sweep.parent.glob("*/*/record.json"), run_type):
        return others, f"other sweeps in {sweep.parent}"
    return [], "no record"


@dataclass(frozen=True)
class _Cost:
    seconds: float
    gpu_seconds: float
    size: float


def _cost(workload: Workload, past: Sequence[PastRun]) -> _Cost | None:
    similar = _most_similar(workload, past)
    if not similar:
        return None
    seconds = [_seconds(run, workload.amount) for run in similar]
    gpu_seconds = [one * run.workload.devices for one, run in zip(seconds, similar, strict=True)]
    sizes = [float(run.size) for run in similar if run.size is not None]
    return _Cost(statistics.median(seconds), statistics.median(gpu_seconds), statistics.median(sizes or [0.0]))


def _most_similar(workload: Workload, past: Sequence[PastRun]) -> list[PastRun]:
    """The past runs of the same kind with the most equal features."""
    equal = [
        (sum(map(str.__eq__, run.workload.features, workload.features)), run)
        for run in past
        if run.workload.kind == workload.kind
    ]
    most = max((count for count, _ in equal), default=0)
    return [run for count, run in equal if count == most]


def _seconds(past: PastRun, amount: float | None) -> float:
    scale = amount / past.workload.amount if amount and past.workload.amount else 1.0
    return past.training_seconds * scale + past.other_seconds


def _past_runs(records: Iterable[Path], run_type: type[Run]) -> list[PastRun]:
    runs: list[PastRun] = []
    for path in islice(sorted(records, key=_modified, reverse=True), MAX_RECORDS):
        try:
            size = _size(path.parent) if len(runs) < MAX_MEASURED_FOLDERS else None
            runs.append(_past_run(RunFolder(path.parent).record(), size, run_type))
        except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return runs


def _past_run(record: Mapping[str, Any], size: int | None, run_type: type[Run]) -> PastRun:
    timings, workload = record["timings"], run_type.workload(record["config"])
    trained = record.get("training", {}).get("steps", 1)
    cuda = str(record.get("hardware", {}).get("device")).startswith("cuda")
    shared = record.get("shared", {}).get("built", {})
    training = float(timings.get("train", 0.0))
    # what was built for all runs is no cost of the next run
    other = float(timings["total"]) - training - sum(map(float, shared.values()))
    return PastRun(
        Workload(
            workload.kind,
            workload.features,
            workload.amount if trained else 0.0,
            workload.devices if cuda else 0,
        ),
        training,
        max(0.0, other),
        size,
    )


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
