"""Waits for submitted runs, by polling the queue and their folders."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.slurm_commands import SlurmError
from optical_sweeps.slurm.submission_plan import submissions_of
from optical_sweeps.slurm.submission_queue import runs_in_queue

End = Literal["done", "failed", "lost"]
"""`lost`: neither done nor failed, and not in the queue: killed, cancelled, or never prepared."""

MAX_ABSENCES = 3
"""A run missing from this many looks at the queue is lost; changes by other hosts become visible late."""


def wait_for(
    sweep: Path,
    runs: Sequence[str],
    poll_seconds: float,
    ended: Callable[[str, End], None],
    looked: Callable[[dict[str, str]], None] = lambda activity: None,
) -> dict[str, End]:
    """Wait until all runs have ended, and return how.

    Args:
        ended: called with each run when it has ended.
        looked: called after every look at the queue, with the runs in it.
    """
    ends: dict[str, End] = {}
    absences = dict.fromkeys(runs, 0)
    while True:
        try:
            activity = runs_in_queue(submissions_of(sweep))
        except SlurmError:  # the controller may be restarting
            time.sleep(poll_seconds)
            continue
        for run in absences.keys() - ends.keys():
            absences[run] = 0 if run in activity else absences[run] + 1
            if end := _end(RunFolder(sweep / run), run in activity, absences[run]):
                ends[run] = end
                ended(run, end)
        looked({run: activity[run] for run in runs if run in activity})
        if len(ends) == len(absences):
            return ends
        time.sleep(poll_seconds)


def _end(folder: RunFolder, in_queue: bool, absences: int) -> End | None:
    if folder.record_path.exists():
        return "done"
    if in_queue:
        return None
    if folder.failure_path.exists():
        return "failed"
    return "lost" if absences >= MAX_ABSENCES and folder.state() != "running" else None
