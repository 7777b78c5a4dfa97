"""The worker of a Slurm task, with runs that take no time: each does what its point says.

Called like the interpreter: `quick_worker.py -m optical_sweeps sweep work SUBMISSION --task K`.
Every start of a run adds a line to `began` in its folder: job, restart, rank.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from optical_sweeps.commands import sweep_work
from optical_sweeps.commands.arguments import parse
from optical_sweeps.interruption import interruptible
from optical_sweeps.runs.run_folder import RunFolder, RunIsTaken, write_json
from optical_sweeps.slurm.submission_plan import SharingGroup
from optical_sweeps.sweeps import slurm_worker
from optical_sweeps.sweeps.grid import Grid, values_of

RANK = os.environ.get("SLURM_PROCID", "0")
RESTARTS = os.environ.get("SLURM_RESTART_COUNT", "0")


def perform_run(grid: Grid, run: str) -> None:
    """Do what the point's `does=...` says; a failure is left in the run's folder."""
    does = values_of(grid.point_of[run].overrides)["does"]
    folder = grid.runs[run]
    with interruptible() as interruption:
        if RANK != "0":
            _do(does, folder, interruption.check)
            return
        try:
            with folder.claim():
                if not folder.record_path.exists():
                    _do(does, folder, interruption.check)
                    folder.write_record({"does": does, "timings": {"total": 0.0}})
        except (ValueError, RunIsTaken):
            pass


def prepare_group(grid: Grid, group: SharingGroup, interruption: object) -> None:
    """Prepare by writing the note, unless it is named `bad`."""
    if "bad" in group.note:
        raise ValueError("the teacher is ill")
    note = Path(group.note)
    artifact = note.parent.parent / "teacher"
    artifact.mkdir(exist_ok=True)
    (artifact / "manifest.json").touch()
    note.parent.mkdir(exist_ok=True)
    write_json(note, {"folders": ["teacher"]})


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
    slurm_worker.perform_run = perform_run
    slurm_worker.prepare_group = prepare_group
    assert sys.argv[1:6] == ["-P", "-m", "optical_sweeps", "sweep", "work"], sys.argv
    sweep_work.run(**parse("sweep work", sys.argv[6:]))
