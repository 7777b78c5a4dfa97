"""The worker of a task as it is, but with runs of no work: each does what its point says, in an instant.

Called as the interpreter would be: `quick_worker.py -m optical_sweeps sweep work SUBMISSION --task K`.
Every beginning of a run is a line in `began` of its folder: job, restart, rank.
"""

import os
import signal
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path

from optical_sweeps.commands import sweep_work as work
from optical_sweeps.commands.arguments import parse
from optical_sweeps.interruption import interruptible
from optical_sweeps.runs.run_folder import RunFolder, RunIsTaken, write_json

RANK = os.environ.get("SLURM_PROCID", "0")
RESTARTS = os.environ.get("SLURM_RESTART_COUNT", "0")


def run_points(overrides: Sequence[Sequence[str]], **_: object) -> list:
    """Do the runs `run=ID` in `sweep=FOLDER` as `does=...` says; a failure is left in its folder."""
    for point in overrides:
        said = dict(text.partition("=")[::2] for text in point)
        folder = RunFolder(Path(said["sweep"], said["run"]))
        with interruptible() as interruption:
            if RANK != "0":
                _do(said["does"], folder, interruption.check)
                continue
            try:
                with folder.claim():
                    if not folder.record_path.exists():
                        _do(said["does"], folder, interruption.check)
                        folder.write_record({"does": said["does"], "timings": {"total": 0.0}})
            except (ValueError, RunIsTaken):
                pass
    return []


def build(grid: object, shared, interruption: object) -> None:
    """Prepare by writing the marker, unless that is named `bad`."""
    if "bad" in shared.marker:
        raise ValueError("the teacher is ill")
    artifact = Path(shared.marker).parent.parent / "teacher"
    artifact.mkdir(exist_ok=True)
    (artifact / "manifest.json").touch()
    Path(shared.marker).parent.mkdir(exist_ok=True)
    write_json(Path(shared.marker), {"folders": ["teacher"]})


def _do(what: str, folder: RunFolder, check: Callable[[], None]) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    with (folder.path / "began").open("a") as lines:
        lines.write(f"{os.environ['SLURM_JOB_ID']} {RESTARTS} {RANK}\n")
    if what == "fail":
        raise ValueError("as asked")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait" or (what == "wait-once" and RESTARTS == "0"):
        for _ in range(1200):
            time.sleep(0.1)
            check()


if __name__ == "__main__":
    points = types.ModuleType("optical_sweeps.sweeps.points")
    points.run_points = run_points  # type: ignore[attr-defined]
    sys.modules[points.__name__] = points
    work._build = build
    assert sys.argv[1:5] == ["-m", "optical_sweeps", "sweep", "work"], sys.argv
    work.run(**parse("sweep work", sys.argv[5:]))
