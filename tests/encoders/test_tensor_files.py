"""Files of encoders have the permissions that the user's umask gives to any new file."""

import os
import stat
from pathlib import Path

import pytest
import torch

from optical_sweeps.encoders.saved_encoders import new_folder
from optical_sweeps.encoders.tensor_files import save_tensors


@pytest.mark.parametrize("umask", [0o002, 0o007, 0o022, 0o077])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        save_tensors({"x": torch.zeros(2)}, tmp_path / "student.safetensors")
        with new_folder(tmp_path / "encoder") as folder:
            save_tensors({"x": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})
    finally:
        os.umask(before)
    for name in ("student.safetensors", "encoder/model.safetensors"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "encoder").stat().st_mode) == 0o777 & ~umask
