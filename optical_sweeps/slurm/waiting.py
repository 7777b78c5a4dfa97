"""Waiting for submitted runs, by looking at the queue and at their folders."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.slurm.slurm_commands import SlurmError
from optical_sweeps.slurm.submission_plan import submissions_of
from optical_sweeps.slurm.submission_queue import runs_in_queue

End = Literal["done", "failed", "lost"]
"""`lost`: neither done nor failed, and no task will do it any more: killed, cancelled, or never prepared."""

ABSENT = 3
"""Looks at the queue that a run is missing from before it is lost: folders of other hosts are seen late."""


def wait_for(
    sweep: Path,
    runs: Sequence[str],
    poll_seconds: float,
    ended: Callable[[str, End], None],
    look: Callable[[dict[str, str]], None] = lambda activity: None,
) -> dict[str, End]:
    """How the runs ended, once the last of them did.

    Args:
        ended: told every run when its end is seen.
        look: told, at every look, what the queue has still to do.
    """
    ends: dict[str, End] = {}
    absences = dict.fromkeys(runs, 0)
    while True:
        try:
            activity = runs_in_queue(submissions_of(sweep))
        except SlurmError:  # a controller that restarts: what is not known has not ended
            time.sleep(poll_seconds)
            continue
        for run in absences.keys() - ends.keys():
            absences[run] = 0 if run in activity else absences[run] + 1
            if end := _end(RunFolder(sweep / run), run in activity, absences[run]):
                ends[run] = end
                ended(run, end)
        look({run: activity[run] for run in runs if run in activity})
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
    return "lost" if absences >= ABSENT and folder.state() != "running" else None
