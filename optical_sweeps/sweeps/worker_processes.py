"""Ends a launcher's worker processes when the sweep receives a stop signal; joblib's would continue."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from optical_sweeps.runs.run_folder import RunFolder

GRACE_SECONDS = 3.0
"""Time in which the workers can save their runs before they are killed."""


def end_workers(runs: Mapping[str, RunFolder]) -> list[str]:
    """Send SIGTERM to this process's workers, wait until no run is worked on, and kill those that remain.

    A worker that has saved its run would take the launcher's next job, so every worker is killed in the end.

    Args:
        runs: the folders of the sweep's runs.

    Returns:
        the runs that this process and its workers worked on.
    """
    workers = multiprocessing.active_children()
    processes = {os.getpid(), *(worker.pid for worker in workers)}
    stopped = [run for run, folder in runs.items() if _works_on(folder, processes)]
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + GRACE_SECONDS
    while any(worker.is_alive() for worker in workers) and time.monotonic() < end and _is_running(runs):
        time.sleep(0.1)
    for worker in workers:
        if worker.pid is not None and worker.is_alive():  # joblib's processes have no kill()
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
    return stopped


def _is_running(runs: Mapping[str, RunFolder]) -> bool:
    return any(folder.state() == "running" for folder in runs.values())


def _works_on(folder: RunFolder, processes: set[int | None]) -> bool:
    """Whether one of these processes of this host works in the folder."""
    owner = folder.owner()
    is_here = owner.get("host") == socket.gethostname() and owner.get("pid") in processes
    return is_here and folder.state() == "running"
