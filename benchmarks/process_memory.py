"""Runs a command and measures the time, CPU time and memory of all its processes."""

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MEMORY_SECONDS = 0.5
"""Time between two looks at the memory, which cost a few milliseconds."""


@dataclass
class Usage:
    """What a command needed.

    Args:
        peak: largest memory of all its processes together, in bytes; pages that they share count once.
        peak_private: the same without pages of files, which the system can drop.
        ended: seconds between the call of `stop_when` that was true and the end of the process, if it was.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak: int = 0
    peak_private: int = 0
    ended: float | None = None
    output: str = ""
    status: int = 0


def measured(
    command: Sequence[str],
    folder: Path,
    stop_when: Callable[[float, float], bool] = lambda seconds, cpu: False,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Usage:
    """Run a command to its end, or until `stop_when` is true.

    Args:
        stop_when: called every 0.1 s with the seconds and the CPU seconds of all processes since the start.
    """
    usage, before, start = Usage(), _children_cpu(), time.perf_counter()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    reader = threading.Thread(target=lambda: setattr(usage, "output", process.stdout.read()))
    reader.start()
    stopped: float | None = None
    looked = 0.0
    while process.poll() is None:
        if time.perf_counter() - looked > MEMORY_SECONDS:
            total, private = _memory(process.pid)
            usage.peak, usage.peak_private = max(usage.peak, total), max(usage.peak_private, private)
            looked = time.perf_counter()
        if stopped is None and stop_when(time.perf_counter() - start, _cpu(process.pid)):
            process.send_signal(stop_signal)
            stopped = time.perf_counter()
        time.sleep(0.02 if stopped else 0.1)
    end = time.perf_counter()
    reader.join()
    usage.seconds, usage.cpu_seconds, usage.status = end - start, _children_cpu() - before, process.returncode
    usage.ended = None if stopped is None else end - stopped
    return usage


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu(root: int) -> float:
    """CPU seconds of a process and its descendants, ended ones included."""
    ticks = 0
    for pid in (root, *_descendants(root)):
        with suppress(OSError):  # it has ended
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory(root: int) -> tuple[int, int]:
    """Proportional and private memory of a process and its descendants, in bytes."""
    totals = [0, 0]
    for pid in (root, *_descendants(root)):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        for line in lines:
            name, _, value = line.partition(":")
            if name == "Pss":
                totals[0] += int(value.split()[0]) * 1024
            elif name == "Pss_Anon":
                totals[1] += int(value.split()[0]) * 1024
    return totals[0], totals[1]


def _descendants(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, children = [], [root]
    while children:
        children = [pid for pid, parent in parents.items() if parent in children]
        found += children
    return found
