"""Ends a launcher's worker processes when the sweep receives a stop signal; joblib's would continue."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

GRACE_SECONDS = 3.0
"""Time in which the workers can save their runs before they are killed."""


def end_workers(is_working: Callable[[], bool]) -> None:
    """Send SIGTERM to this process's workers, wait until no run is worked on, and kill those that remain.

    A worker that has saved its run would take the launcher's next job, so every worker is killed in the end.

    Args:
        is_working: whether a run of the sweep is still worked on.
    """
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + GRACE_SECONDS
    while any(worker.is_alive() for worker in workers) and time.monotonic() < end and is_working():
        time.sleep(0.1)
    for worker in workers:
        if worker.pid is not None and worker.is_alive():  # joblib's processes have no kill()
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
