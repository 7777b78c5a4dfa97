"""Writing safetensors files that others can read."""

import stat
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file with the permissions of any new file here; the library keeps it to its owner."""
    import safetensors.torch

    path.unlink(missing_ok=True)
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    safetensors.torch.save_file(dict(tensors), path, dict(metadata) if metadata else None)
    path.chmod(mode)
