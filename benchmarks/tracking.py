"""Time to read W&B's log files of a large sweep, with and without histories.

    python benchmarks/tracking.py [--runs 1000] [--steps 100] [--folder DIR]

Writes genuine logs with the client's protobuf messages, framing and order (a summary record before each
row, numbers as JSON). The real client logs one run as well, and reading it must give the same result as
reading its imitation. Needs about 120 kB of disk per run of 100 steps.
"""

import argparse
import json
import random
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

from optical_sweeps.tracking.fragments import read_fragment
from optical_sweeps.tracking.offline import log_files, read_offline
from optical_sweeps.tracking.offline_log import BLOCK, HEADER, OfflineLog
from optical_sweeps.tracking.wandb_run import WandbRun
from optical_sweeps.tracking.wandb_settings import WandbSettings

LANGUAGES = (
    "ar",
    "bn",
    "de",
    "es",
    "fa",
    "fi",
    "fr",
    "hi",
    "id",
    "ja",
    "ko",
    "ru",
    "sw",
    "group:high",
    "group:low",
)
MEASURES = ("nDCG@10", "MAP@100", "MRR@10", "Recall@100")
TRAINING = ("loss", "learning_rate", "gradient_norm", "cost", "entropy", "marginal_error", "iterations")
CONFIG = {
    "objective": {"name": "optical", "epsilon": 0.05},
    "mixture": {"name": "fixed_total", "ratio": 0.5, "total": 3200},
    "languages": {"high": ["de", "fr"], "low": ["ar", "fa"]},
    "seed": 1,
}


def rows_of(steps: int, seed: int) -> list[dict[str, float]]:
    """The history of a run: training metrics at every step, validation after every fifth of the run."""
    draw = random.Random(seed)
    rows: list[dict[str, float]] = []
    for step in range(1, steps + 1):
        rows.append({"step": step, **{f"train/{name}": draw.random() for name in TRAINING}})
        if step % max(steps // 5, 1) == 0:
            rows.append({"step": step, **measures_of("dev", draw)})
    return rows


def measures_of(split: str, draw: random.Random) -> dict[str, float]:
    return {f"{split}/{measure}/{where}": draw.random() for measure in MEASURES for where in LANGUAGES}


def records_of(run_id: str, steps: int, seed: int) -> Iterator[Record]:
    """The records of one run, as the client writes them."""
    started = 1_790_000_000 + seed
    yield Record(header={"version_info": {"producer": "0.31.0", "min_consumer": "0.70.0"}})
    config = [{"key": key, "value_json": json.dumps(value)} for key, value in {**CONFIG, "seed": seed}.items()]
    yield Record(
        run={
            "run_id": run_id,
            "project": "optical-sweeps",
            "run_group": "large",
            "job_type": "train",
            "display_name": run_id,
            "config": {"update": config},
            "start_time": {"seconds": started},
        }
    )
    yield Record(metric={"name": "step", "options": {"defined": True}})
    yield Record(metric={"glob_name": "*", "step_metric": "step"})
    for number, row in enumerate(rows_of(steps, seed)):
        own = {"_timestamp": started + number / 7, "_runtime": number / 7, "_step": number}
        items = [
            {"nested_key": [key], "value_json": json.dumps(value)} for key, value in {**own, **row}.items()
        ]
        yield Record(
            summary={
                "update": [
                    {"nested_key": ["_wandb", "runtime"], "value_json": str(number // 7)},
                    {"key": "_runtime", "value_json": str(number // 7)},
                ]
            }
        )
        yield Record(summary={"update": items})
        yield Record(history={"item": items})
    final = measures_of("test", random.Random(seed + 1)).items()
    yield Record(summary={"update": [{"key": key, "value_json": json.dumps(value)} for key, value in final]})
    yield Record(exit={})


def write_log(path: Path, records: Iterator[Record]) -> None:
    """Write a log in the client's framing."""
    log = bytearray(HEADER)
    for number, record in enumerate(records, start=1):
        record.num = number
        rest, first = record.SerializeToString(), True
        while first or rest:
            room = BLOCK - len(log) % BLOCK
            if room < 7:
                log += bytes(room)
                continue
            part, rest = rest[: room - 7], rest[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[first, not rest]
            log += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            first = False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(log)


def write_sweep(folder: Path, runs: int, steps: int) -> None:
    for seed in range(runs):
        run_id = f"run{seed:06d}"
        place = folder / run_id / "wandb" / f"offline-run-20260101_000000-{run_id}"
        write_log(place / f"run-{run_id}.wandb", records_of(run_id, steps, seed))
        if seed % 1000 == 999:
            print(f"  written: {seed + 1}", file=sys.stderr)


def check_against_the_client(folder: Path, steps: int) -> None:
    """Check that the imitation and the client's own log of the same run have the same content."""
    run = WandbRun(WandbSettings(mode="offline"))
    run.start(
        run_id="real", group="large", job_type="train", name="real", config={**CONFIG, "seed": 7}, folder=folder
    )
    for row in rows_of(steps, 7):
        run.log(int(row["step"]), {key: value for key, value in row.items() if key != "step"})
    run.finish(measures_of("test", random.Random(8)))
    (real,) = log_files(folder)
    imitation = folder / "imitation" / "run-real.wandb"
    write_log(imitation, records_of("real", steps, 7))
    first, second = read_fragment(real), read_fragment(imitation)
    assert first.history == second.history
    assert first.summary == second.summary
    kinds = [Counter(r.WhichOneof("record_type") for r in OfflineLog(path)) for path in (real, imitation)]
    assert kinds[0]["history"] == kinds[1]["history"]
    print(f"| records of the client and of the imitation | {dict(kinds[0])} and {dict(kinds[1])} |")
    sizes = [path.stat().st_size / 1000 for path in (real, imitation)]
    print(f"| kB of the client's log and of the imitation | {sizes[0]:.0f} and {sizes[1]:.0f} |")


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    place = arguments.folder or Path(tempfile.mkdtemp(prefix="tracking-benchmark-"))
    folder = place / "sweep"
    with tempfile.TemporaryDirectory() as beside:
        check_against_the_client(Path(beside), arguments.steps)
    if not folder.exists():
        write_sweep(folder, arguments.runs, arguments.steps)
    print(f"| runs of {arguments.steps} steps | {len(log_files(folder))} |")
    print(f"| GB of logs | {sum(path.stat().st_size for path in log_files(folder)) / 1e9:.2f} |")
    parts: dict[str, Callable[[], object]] = {
        "configs and final values": lambda: read_offline(folder, history=False),
        "the same with histories": lambda: read_offline(folder),
    }
    for name, work in parts.items():
        print(f"| {name}, s | {seconds(work):.1f} |")
    print(f"| largest memory, MB | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} |")


if __name__ == "__main__":
    main()
