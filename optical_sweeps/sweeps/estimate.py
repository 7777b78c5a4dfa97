"""What runs will cost, from the records of runs like them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.runs.run_folder import RunFolder

MOST = 200
"""Records that are read, the newest first."""

MEASURED = 20
"""Run folders whose size is taken."""


@dataclass(frozen=True)
class Experience:
    """What one finished run took.

    Args:
        likeness: texts that tell how like another run it is, the most telling first.
        pairs: that it trained on, over all epochs; 0 for none, None where the config does not say.
        gpus: that it had.
        size: bytes of its folder; None where it was not taken.
    """

    likeness: tuple[str, ...]
    pairs: float | None
    training_seconds: float
    other_seconds: float
    gpus: int
    size: int | None


@dataclass(frozen=True)
class Estimate:
    """The cost of runs, of which `unknown` had no record to estimate from.

    Args:
        hours: of one machine, one run after the other.
        size: bytes on disk.
    """

    runs: int
    unknown: int
    hours: float
    gpu_hours: float
    size: int
    records: int
    source: str


def estimate(configs: Iterable[Mapping[str, Any]], past: Sequence[Experience], source: str) -> Estimate:
    """The cost of runs with these resolved configs: for each, the median of the past runs most like it.

    Training time grows with the pairs that are trained on; what remains is as it was.
    """
    kinds: dict[tuple[tuple[str, ...], float | None], _Cost | None] = {}
    costs = []
    for config in configs:
        kind = (likeness(config), pairs_of(config))
        if kind not in kinds:
            kinds[kind] = _cost(*kind, past)
        costs.append(kinds[kind])
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


def experience_near(sweep: Path) -> tuple[list[Experience], str]:
    """Of the sweep's finished runs; where it has none, of its neighbours', and whose they are."""
    if own := _experience(sweep.glob("*/record.json")):
        return own, "this sweep"
    if others := _experience(sweep.parent.glob("*/*/record.json")):
        return others, f"other sweeps in {sweep.parent}"
    return [], "no record"


def likeness(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes a run's time, from what it does to what it does it with."""
    targets = [str(config.get(name, {}).get("_target_")) for name in ("objective", "backbone", "data")]
    sizes = [str(config.get(name)) for name in ("backbone", "data", "languages")]
    return (*targets, *sizes)


def pairs_of(config: Mapping[str, Any]) -> float | None:
    """The pairs a run trains on, over all epochs."""
    mixture, epochs = config.get("mixture", {}), config.get("training", {}).get("epochs", 1)
    try:
        if "total" in mixture:
            return float(mixture["total"]) * float(epochs)
        return float(mixture["high_total"]) * (1 + float(mixture["multiple"])) * float(epochs)
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class _Cost:
    seconds: float
    gpu_seconds: float
    size: float


def _cost(wanted: tuple[str, ...], pairs: float | None, past: Sequence[Experience]) -> _Cost | None:
    alike = _most_alike(wanted, past)
    if not alike:
        return None
    times = [_seconds(each, pairs) for each in alike]
    return _Cost(
        seconds=statistics.median(times),
        gpu_seconds=statistics.median(time * each.gpus for time, each in zip(times, alike, strict=True)),
        size=statistics.median([float(each.size) for each in alike if each.size is not None] or [0.0]),
    )


def _most_alike(wanted: tuple[str, ...], past: Sequence[Experience]) -> list[Experience]:
    """Those that agree in most; all must have the same kind of objective, backbone and data."""
    kin = [each for each in past if each.likeness[:3] == wanted[:3]]
    if not kin:
        return []

    def agreement(each: Experience) -> int:
        return sum(map(str.__eq__, each.likeness, wanted))

    best = max(map(agreement, kin))
    return [each for each in kin if agreement(each) == best]


def _seconds(past: Experience, pairs: float | None) -> float:
    grows = pairs / past.pairs if pairs and past.pairs else 1.0
    return past.training_seconds * grows + past.other_seconds


def _experience(records: Iterable[Path]) -> list[Experience]:
    newest = sorted(records, key=_moment, reverse=True)
    found: list[Experience] = []
    for path in islice(newest, MOST):
        try:
            record = RunFolder(path.parent).record()
            found.append(_learnt(record, _size(path.parent) if len(found) < MEASURED else None))
        except (UserError, OSError, KeyError, TypeError, ValueError):
            continue
    return found


def _learnt(record: Mapping[str, Any], size: int | None) -> Experience:
    config, timings = record["config"], record["timings"]
    training = float(timings.get("train", 0.0))
    cuda = str(record["hardware"]["device"]).startswith("cuda")
    devices = config.get("machine", {}).get("devices", 1)
    # what was built for all is no cost of the next run
    shared = sum(map(float, record.get("shared", {}).get("built", {}).values()))
    return Experience(
        likeness=likeness(config),
        pairs=pairs_of(config) if record["training"]["steps"] else 0.0,
        training_seconds=training,
        other_seconds=max(0.0, float(timings["total"]) - training - shared),
        gpus=(devices if isinstance(devices, int) else 1) if cuda else 0,
        size=size,
    )


def _moment(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
