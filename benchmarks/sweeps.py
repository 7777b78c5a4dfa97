"""Overhead of sweeping (planning, status, skipping, starting), and what a sweep saves.

    python benchmarks/sweeps.py [--points 10000] [--runs 6] [--json FILE] [--demo COMMANDS | --full]

Everything happens in a temporary folder. Prints a table of this machine's current numbers.

plan     a grid of this many points over seven keys, planned as by `train -m` and `sweep plan`, in a process
         that has imported its libraries and read its corpus; and the whole command, cold
status   `sweep status` of as many finished runs
skip     the same sweep again when all of it is done: seconds per finished point, without start-up
start    seconds that a run takes in a sweep beyond a direct call of its pipeline (tiny backbone, synthetic
         corpus, 5 steps; W&B disabled, and offline)
demo     the demo's sweep as one command, compared with its runs as separate cold commands that share nothing,
         each with its own artifact store. --demo K measures K of them, alternating between kinds, and
         extrapolates to all; --full measures all.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

TINY = (
    "data=synthetic", "languages=synthetic", "backbone=tiny", "data.lexicon_size=60", "data.topics=20",
    "data.documents_per_topic=1", "languages.high=[near]", "languages.low=[distant]", "backbone.layers=1",
    "backbone.hidden_size=16", "encoder.dim=8", "teacher.training.epochs=1", "mixture.total=40",
    "training.batch_size=8", "mixture.max_repeats=8",
)  # fmt: skip
Rows = dict[str, float | str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--demo", type=int, metavar="COMMANDS", default=0)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--workers", type=int, default=2, help="of the demo's sweep")
    given = parser.parse_args()
    rows: Rows = {}
    with tempfile.TemporaryDirectory(prefix="sweeps-benchmark-") as name, contextlib.chdir(name):
        rows |= planning(given.points)
        rows |= looking(given.points)
        rows |= starting(given.runs, "disabled")
        rows |= starting(given.runs, "offline")
    if given.demo or given.full:
        rows |= demo(None if given.full else given.demo, given.workers)
    for what, value in rows.items():
        print(f"| {what} | {value:,.4g} |" if isinstance(value, float) else f"| {what} | {value} |")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


def grid_of(points: int) -> tuple[str, ...]:
    """Overrides of a grid of this many points: 2 objectives, 5 totals, 10 learning rates, many ratios."""
    ratios = max(1, points // 100)
    return (
        "objective=optical,contrastive",
        "mixture.total=20,25,30,35,40",
        "training.learning_rate=" + ",".join(f"{1 + n}e-4" for n in range(10)),
        "mixture.ratio=" + ",".join(f"{n / max(1, ratios - 1):.6g}" for n in range(ratios)),
    )


def planning(points: int) -> Rows:
    from optical_sweeps.sweeps.grid_planning import plan_grid
    from optical_sweeps.sweeps.hydra_app import hydra_app

    asked = (*TINY, "sweep.name=planned", *grid_of(points))
    cold = timed(lambda: command("sweep", "plan", *asked))
    with hydra_app(overrides=[*TINY, "objective=optical,contrastive"]) as app:  # imports, reads the corpus
        plan_grid(app.master, app.loader, app.overrides)
    with hydra_app(overrides=asked) as app:
        start = time.perf_counter()
        grid = plan_grid(app.master, app.loader, app.overrides).grid
        planned = time.perf_counter() - start
        saved = timed(grid.save)
    assert len(grid.runs) == len(grid.points) == points, (len(grid.runs), len(grid.points))
    return {
        f"plan {points:,} points, s": planned,
        "write the grid, s": saved,
        "the whole command `sweep plan`, cold, s": cold,
    }


def looking(points: int) -> Rows:
    """Status of the planned sweep, with an invented finished run for every point."""
    from optical_sweeps.sweeps.grid import Grid

    grid = Grid.load(Path("multirun/planned"))
    record = json.dumps({"schema": 1, "measures": {"test": {"nDCG@10": {"group:all": 0.5}}}})
    for folder in grid.runs.values():
        folder.path.mkdir()
        (folder.path / ".lock").touch()
        folder.record_path.write_text(record)
    status = timed(lambda: command("sweep", "status", str(grid.folder)))
    listed = timed(lambda: command("sweep", "status", str(grid.folder), "--all"))
    every = timed(lambda: command("sweep", "status", str(grid.folder), "--json"))
    states = timed(grid.states)
    asked = (*TINY, "sweep.name=planned")
    again = timed(lambda: command("train", "-m", *asked, *grid_of(points)))
    one = timed(lambda: command("train", "-m", *asked, *grid_of(100)))
    return {
        f"states of {points:,} finished runs, s": states,
        "`sweep status` of them, whole command, s": status,
        "`sweep status --all`, whole command, s": listed,
        "`sweep status --json`, whole command, s": every,
        "the sweep again, all of it done, whole command, s": again,
        "skip a finished point, ms": 1000 * (again - one) / (points - 100),
    }


def starting(runs: int, mode: str) -> Rows:
    """Seconds of a run in a sweep and on its own, in one process each, without the first of each."""
    logger = ("logger=disabled",) if mode == "disabled" else ("logger.mode=offline",)
    settings = (*TINY, *logger, f"sweep.name=start-{mode}")
    swept = in_a_process("sweep", settings, runs)
    direct = in_a_process("direct", settings, runs)
    added = statistics.median(swept) - statistics.median(direct)
    return {
        f"a run in a sweep, W&B {mode}, s": statistics.median(swept),
        f"the same by perform(), W&B {mode}, s": statistics.median(direct),
        f"added by sweeping, W&B {mode}, s a run": added,
    }


SWEEP_PROGRAM = """
import sys, time
from optical_sweeps.commands import train
from optical_sweeps import cli
moments = []
def told(config, task=train.run):
    result = task(config)
    moments.append(time.perf_counter())
    return result
train.run = told
sys.argv = ["optical-sweeps", "train", "-m", *sys.argv[1:]]
cli.main()
print("SECONDS", *(after - before for before, after in zip(moments, moments[1:])))
"""
DIRECT_PROGRAM = """
import sys, time
from optical_sweeps.sweeps.hydra_app import hydra_app
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.runs.distillation.pipeline import perform
from optical_sweeps.interruption import Interruption
*settings, seeds = sys.argv[1:]
specs = []
with hydra_app() as app:
    for seed in seeds.partition("=")[2].split(","):
        config = app.loader.load_sweep_config(app.master, [*settings, f"seed={seed}"])
        specs.append(RunSpec.from_config(config))
seconds = []
for spec in specs:
    folder = RunFolder(spec.folder)
    folder.path.mkdir(parents=True)
    start = time.perf_counter()
    perform(spec, folder, Interruption())
    seconds.append(time.perf_counter() - start)
print("SECONDS", *seconds[1:])
"""


def in_a_process(kind: str, settings: Sequence[str], runs: int) -> list[float]:
    program = SWEEP_PROGRAM if kind == "sweep" else DIRECT_PROGRAM
    seeds = "seed=" + ",".join(str(n + (100 if kind == "sweep" else 200)) for n in range(runs + 1))
    done = subprocess.run(
        [sys.executable, "-c", program, *settings, seeds], capture_output=True, text=True, check=True
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("SECONDS"))
    return [float(value) for value in line.split()[1:]]


def demo(commands: int | None, workers: int) -> Rows:
    """The demo as `make demo` sweeps it, and as commands that share only the environment's compiled kernels.

    Workers use one thread each, separate commands use all cores; each is the faster choice for its case.
    """
    parallel = ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}", "machine.threads=1")
    with tempfile.TemporaryDirectory(prefix="demo-benchmark-") as name, contextlib.chdir(name):
        swept = timed(lambda: command("teacher", "experiment=demo"))
        swept += timed(lambda: command("train", "-m", "experiment=demo", *(parallel if workers > 1 else ())))
        from optical_sweeps.sweeps.grid import Grid

        grid = Grid.load(Path("multirun/demo"))
        trained = sum(folder.record()["timings"]["train"] for folder in grid.runs.values())
        points = list(grid.point_of.values())
    kinds: dict[str, list[int]] = {}
    for number, point in enumerate(points):
        kinds.setdefault(point.label.split()[0], []).append(number)
    chosen = list(range(len(points))) if commands is None else list(_in_turn(kinds))[:commands]
    seconds: dict[str, list[float]] = {}
    for number in chosen:
        kind = points[number].label.split()[0]
        with tempfile.TemporaryDirectory(prefix="demo-benchmark-") as name, contextlib.chdir(name):
            single = tuple(points[number].overrides)
            seconds.setdefault(kind, []).append(timed(lambda single=single: command("train", *single)))
        print(f"{points[number].label}: {seconds[kind][-1]:.1f} s cold", file=sys.stderr)
    every = [second for of in seconds.values() for second in of]
    apart = sum(statistics.mean(seconds.get(kind, every)) * len(numbers) for kind, numbers in kinds.items())
    measured = f"{len(chosen)} of {len(points)} measured" + ("" if commands is None else ", the rest by kind")
    return {
        f"demo's teacher and sweep, {workers} at work, s": swept,
        f"its {len(points)} runs as cold commands, s ({measured})": apart,
        "times faster": apart / swept,
        "of the sweep: training, seconds of all workers": trained,
        **{f"a cold command: {kind}, mean s": statistics.mean(of) for kind, of in seconds.items()},
    }


def _in_turn(kinds: dict[str, list[int]]) -> Iterator[int]:
    """One run of every kind, then another of every kind, the most frequent kinds first."""
    queues = sorted((list(of) for of in kinds.values()), key=len, reverse=True)
    while any(queues):
        for queue in queues:
            if queue:
                yield queue.pop(len(queue) // 2)


def timed(act) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "optical_sweeps", *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


if __name__ == "__main__":
    main()
