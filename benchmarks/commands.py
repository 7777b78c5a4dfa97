"""Time until a command's first output on a terminal, its whole time and its CPU time; medians.

    python benchmarks/commands.py SWEEP [--repeats 3]

SWEEP is a finished sweep, such as multirun/demo; its first trained run is the one that `search`, `evaluate` and
`inspect` load. Commands run one after another on a pseudoterminal, so the first output is what a user sees
first: a progress bar or a line. The last rows are imports that commands cannot do without.
"""

import argparse
import json
import os
import pty
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PROGRAM = (sys.executable, "-m", "optical_sweeps")
IMPORTS = ("torch", "torch, transformers; transformers.BertModel", "matplotlib.pyplot")


def commands(sweep: Path) -> dict[str, Sequence[str]]:
    """Title -> command line."""
    records = sorted(sweep.glob("*/record.json"))
    record = next(path for path in records if "zero-shot" not in path.read_text())
    run, language = str(record.parent), json.loads(record.read_text())["config"]["data"]["languages"][0]
    lines: dict[str, Sequence[str]] = {
        "search": (*PROGRAM, "search", run, "--query", "dog"),
        "evaluate": (*PROGRAM, "evaluate", run),
        "inspect": (*PROGRAM, "inspect", run, f"language={language}", "row=3"),
        "report": (*PROGRAM, "report", str(sweep)),
        "curves": (*PROGRAM, "curves", str(sweep)),
        "verify": (*PROGRAM, "verify", str(sweep)),
        "sweep status": (*PROGRAM, "sweep", "status", str(sweep)),
    }
    return lines | {f"import {text}": (sys.executable, "-c", f"import {text}") for text in IMPORTS}


def timed(command: Sequence[str]) -> tuple[float, float, float]:
    """Seconds until the first output and until the end, and CPU seconds of the command and its children.

    Raises:
        RuntimeError: the command failed.
    """
    before, start = os.times(), time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], [*command])
    first, written = None, b""
    with suppress(OSError):  # the end of a pseudoterminal
        while content := os.read(terminal, 1 << 16):
            first = first or time.perf_counter() - start
            written += content
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds, after = time.perf_counter() - start, os.times()
    if status:
        raise RuntimeError(
            f"{' '.join(command)} ended with {status}: {written.decode(errors='replace')[-2000:]}"
        )
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return first or seconds, seconds, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "sweep"
        shutil.copytree(arguments.sweep, copy)
        print("| command | first output, s | whole, s | CPU, s |\n| --- | ---: | ---: | ---: |")
        for title, command in commands(copy).items():
            repeats = [timed(command) for _ in range(arguments.repeats)]
            first, whole, cpu = (statistics.median(values) for values in zip(*repeats, strict=True))
            print(f"| `{title}` | {first:.2f} | {whole:.2f} | {cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
