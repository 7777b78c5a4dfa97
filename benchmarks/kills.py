"""Random kill -9 over a sweep with several workers, compared with the same sweep left undisturbed.

    python benchmarks/kills.py --kills 100 --runs 20 --workers 2

Every worker executes `optical-sweeps train -m ...` in its own process, forked from one that has imported
the libraries, so that kills interrupt work rather than imports. A killed worker is restarted immediately.
At the end every run must be done, with the same digits as in the undisturbed sweep, and no record may have
been written twice.
"""

import argparse
import contextlib
import gzip
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = (
    "torch", "lightning", "transformers", "hydra", "ranx", "pyarrow.parquet", "numba", "wandb",
    "optical_sweeps.commands.train", "optical_sweeps.runs.shared.prepare",
    "optical_sweeps.runs.distillation.search_and_evaluate",
    "optical_sweeps.training.fit", "optical_sweeps.objectives", "optical_sweeps.corpora.builders.synthetic",
)  # fmt: skip
SMALL = (
    "data=synthetic", "data.lexicon_size=120", "data.topics=40", "data.documents_per_topic=2",
    "languages.high=[near]", "languages.low=[distant]", "backbone=tiny", "backbone.layers=1",
    "backbone.hidden_size=32", "backbone.vocabulary_size=500", "backbone.dropout=0.1", "encoder=colbert",
    "encoder.dim=16", "teacher.training.epochs=2", "teacher.training.learning_rate=1e-3", "mixture.total=160",
    "training.batch_size=8", "training.epochs=2", "training.learning_rate=1e-3", "training.log_every=1",
    "training.validate_every=7", "machine.checkpoint_seconds=0", "machine.threads=1",
    "machine.accelerator=cpu", "sweep.name=small",
)  # fmt: skip
"""40 steps a run, validated every 7."""
INCIDENTAL = ("timings", "usage", "finished", "hardware", "shared", "resumed_from", "code")
"""Of a record: what two runs of one config may differ in."""


@dataclass
class Killed:
    """Results of a sweep that was killed as often as requested and then finished."""

    folder: Path
    kills: int = 0
    seconds: float = 0.0
    written_twice: list[str] = field(default_factory=list)


def sweep(runs: int, *more: str) -> tuple[str, ...]:
    """The command line of a sweep with this many runs: two objectives, several seeds."""
    seeds = ",".join(map(str, range(1, runs // 2 + 1)))
    return ("train", "-m", *SMALL, *more, "objective=optical,contrastive", f"seed={seeds}")


def work(folder: str, arguments: Sequence[str]) -> None:
    """A worker: execute the command line in this process and write its output to a file."""
    from optical_sweeps.cli import main

    os.chdir(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.argv = ["optical-sweeps", *arguments]
    with Path(f"worker-{os.getpid()}.log").open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main()


class Workers:
    """Processes that execute one command each, forked from one that has imported the libraries."""

    def __init__(self, folder: Path, arguments: Sequence[str], count: int) -> None:
        self.folder, self.arguments = folder, arguments
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([*LIBRARIES, __name__])
        self.processes = [self._start() for _ in range(count)]

    def replace_ended(self) -> None:
        """Replace every process that has ended by a new one."""
        for place, process in enumerate(self.processes):
            if not process.is_alive():
                process.join()
                self.processes[place] = self._start()

    def kill(self, place: int) -> bool:
        """Kill a process; return whether there was one to kill."""
        process = self.processes[place]
        alive = process.is_alive()
        process.kill()
        process.join()
        return alive and process.exitcode == -9

    def stop(self) -> None:
        for place in range(len(self.processes)):
            self.kill(place)

    def _start(self) -> Any:
        process = self.context.Process(target=work, args=(str(self.folder), self.arguments))
        process.start()
        return process


def left_alone(folder: Path, arguments: Sequence[str]) -> float:
    """Execute the sweep in one worker; return the seconds it took."""
    folder.mkdir(parents=True)
    start = time.monotonic()
    workers = Workers(folder, arguments, 1)
    (process,) = workers.processes
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the sweep left alone failed: {_logs(folder)}")
    return time.monotonic() - start


def kill_and_finish(
    folder: Path, arguments: Sequence[str], *, kills: int, runs: int, workers: int, seed: int, limit: float
) -> Killed:
    """Execute the sweep with several workers, kill them at random moments, then let them finish.

    Most moments are a number of logged rows apart, so that the kills are spread over the training. Some are
    a time apart, so that they also interrupt what logs no row: start-up, teacher, index, search, writing.

    Args:
        limit: seconds after which the sweep is given up.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    killed, start = Killed(folder), time.monotonic()
    crew = Workers(folder, arguments, workers)
    with _watched(folder, killed):
        try:
            while (done := len(_records(folder))) < runs:
                if time.monotonic() - start > limit:
                    raise RuntimeError(f"{done} of {runs} runs done after {limit:.0f} s: {_logs(folder)}")
                if killed.kills < kills:
                    rows_left = (runs - done) * 45  # a run logs some 45 rows
                    _wait_for_a_moment(folder, random, max(2, int(1.5 * rows_left / (kills - killed.kills))))
                    killed.kills += crew.kill(int(random.integers(workers)))
                else:
                    time.sleep(0.1)
                crew.replace_ended()
        finally:
            crew.stop()
    killed.seconds = time.monotonic() - start
    return killed


def differences(one: Path, other: Path) -> list[str]:
    """One line for each result that differs between two sweeps, compared to the last bit."""
    records = [_records(folder) for folder in (one, other)]
    found = [f"only in one: {run}" for run in sorted(set(records[0]) ^ set(records[1]))]
    for run in sorted(set(records[0]) & set(records[1])):
        first, second = (_results(of[run].parent) for of in records)
        found += [f"{run}: {name}" for name in sorted(first | second) if first.get(name) != second.get(name)]
    return found


def resumptions(folder: Path) -> dict[str, list[int]]:
    """The steps at which each run was resumed."""
    return {run: json.loads(path.read_text())["resumed_from"] for run, path in _records(folder).items()}


def _results(run: Path) -> dict[str, Any]:
    from pyarrow import parquet

    record = json.loads((run / "record.json").read_text())
    return {
        **{f"record.{name}": value for name, value in record.items() if name not in INCIDENTAL},
        "metrics.jsonl": (run / "metrics.jsonl").read_bytes(),
        "per_query": parquet.read_table(run / "per_query.parquet").to_pydict(),
        **{path.name: gzip.decompress(path.read_bytes()) for path in (run / "runs").iterdir()},
        **{path.name: _tensors(path) for path in (run / "checkpoints").iterdir()},
    }


def _tensors(path: Path) -> dict[str, bytes]:
    """Tensors by name; the file's bytes depend on a hash order that differs between processes."""
    from safetensors.torch import load_file

    return {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}


def _records(folder: Path) -> dict[str, Path]:
    return {path.parent.name: path for path in sorted(folder.glob("multirun/*/*/record.json"))}


def _wait_for_a_moment(folder: Path, random: np.random.Generator, rows: int) -> None:
    deadline = time.monotonic() + random.uniform(0.0, 4.0)
    wanted = _rows(folder) + int(random.integers(1, rows + 1))
    by_time = random.random() < 0.3
    while time.monotonic() < deadline or (not by_time and time.monotonic() < deadline + 10):
        if not by_time and _rows(folder) >= wanted:
            break
        time.sleep(0.005)
    time.sleep(random.uniform(0.0, 0.05))


def _rows(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("multirun/*/*/metrics.jsonl"))


@contextlib.contextmanager
def _watched(folder: Path, killed: Killed) -> Iterator[None]:
    """Note every record that changes after it was written."""
    seen: dict[str, tuple[int, int]] = {}
    ended = threading.Event()

    def look() -> None:
        for run, path in _records(folder).items():
            status = path.stat()
            now = (status.st_ino, status.st_mtime_ns)
            if seen.setdefault(run, now) != now:
                killed.written_twice.append(run)
                seen[run] = now

    def watch() -> None:
        while not ended.wait(0.01):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        look()


def _logs(folder: Path) -> str:
    newest = sorted(folder.glob("worker-*.log"), key=lambda path: path.stat().st_mtime)[-3:]
    return "\n".join(path.read_text()[-2000:] for path in newest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds after which it is given up")
    parser.add_argument("--logger", choices=("disabled", "wandb"), default="disabled")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one otherwise")
    of = parser.parse_args()
    more = ["logger=disabled"] if of.logger == "disabled" else ["logger=wandb", "logger.mode=offline"]
    arguments = sweep(of.runs, *more)
    with tempfile.TemporaryDirectory() as temporary:
        folder = of.folder or Path(temporary)
        alone = left_alone(folder / "alone", arguments)
        print(f"left alone: {of.runs} runs in {alone:.0f} s, one worker")
        options = {
            "kills": of.kills,
            "runs": of.runs,
            "workers": of.workers,
            "seed": of.seed,
            "limit": of.limit,
        }
        killed = kill_and_finish(folder / "killed", arguments, **options)
        found = differences(folder / "alone", folder / "killed")
        steps = [step for of_run in resumptions(folder / "killed").values() for step in of_run]
        print(f"killed {killed.kills} times, {of.workers} workers: {killed.seconds:.0f} s")
        print(f"training taken up {len(steps)} times, {sum(step > 0 for step in steps)} of them in its middle")
        print(f"records written twice: {len(killed.written_twice)}; results that differ: {len(found)}")
    for line in (*found, *killed.written_twice):
        print(f"  {line}")
    sys.exit(bool(found or killed.written_twice or killed.kills < of.kills))


if __name__ == "__main__":
    # forked workers find their code by the module's name
    sys.path.insert(0, str(Path(__file__).parent))
    import kills

    kills.main()
