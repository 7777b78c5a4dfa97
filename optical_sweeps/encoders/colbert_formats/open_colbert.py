"""Recognises the layout of a ColBERT checkpoint."""

from pathlib import Path

from optical_sweeps.checks import check_folder
from optical_sweeps.encoders.colbert_formats import own_format, pylate_format, stanford_format
from optical_sweeps.encoders.colbert_formats.checkpoint_files import METADATA, MODULES, read_object
from optical_sweeps.encoders.colbert_formats.colbert_checkpoint import ColbertCheckpoint
from optical_sweeps.errors import UserError


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """What the folder states: an encoder of ours, PyLate's layout (with a `modules.json`), or Stanford's.

    Raises:
        UserError: there is no such folder, its layout is unknown, or it has unsupported parts.
    """
    check_folder("teacher.path", path, "name the folder of a ColBERT checkpoint")
    config = read_object(path / "config.json")
    if (path / own_format.SETTINGS).is_file() or config.get("format") == own_format.SAVED_FORMAT:
        return own_format.open_checkpoint(path)
    if (path / MODULES).is_file():
        return pylate_format.open_checkpoint(path)
    architectures = config.get("architectures") or ()
    if (path / METADATA).is_file() or (isinstance(architectures, list) and "HF_ColBERT" in architectures):
        return stanford_format.open_checkpoint(path)
    raise UserError(
        f"teacher.path: {path} has neither modules.json (PyLate) nor artifact.metadata (Stanford ColBERT, "
        "ColBERT-X), so no projection; name a ColBERT, or train one: teacher=default backbone=huggingface"
    )
