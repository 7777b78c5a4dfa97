"""Stand-ins for Slurm's commands, for tests that need no cluster."""

from pathlib import Path


def stand_in(folder: Path, program: str, body: str) -> None:
    """A shell script that replaces one of Slurm's commands; the folder must be the first on PATH."""
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
    (folder / program).chmod(0o755)


def show_queue(folder: Path, *lines: str) -> None:
    """Let squeue print these lines: `12_[0-3]|PENDING|Priority|name`."""
    stand_in(folder, "squeue", "\n".join(f"echo '{line}'" for line in lines) or "true")
