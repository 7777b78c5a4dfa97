"""Encoders that this program wrote: those it saved for itself, and those it exported for transformers."""

from pathlib import Path
from typing import Any

from optical_sweeps.encoders.colbert_formats.checkpoint import ColbertCheckpoint
from optical_sweeps.encoders.colbert_formats.files import read_object

SETTINGS = "token_encoder.json"
SAVED, EXPORTED = "saved", "exported"
SAVED_FORMAT = "optical-sweeps/token-encoder"  # as in encoders.checkpoints, which needs torch


def is_own(path: Path) -> bool:
    """Whether we wrote the folder."""
    return (path / SETTINGS).is_file() or _config(path).get("format") == SAVED_FORMAT


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """What an encoder's folder of ours says."""
    if (path / SETTINGS).is_file():
        return ColbertCheckpoint(EXPORTED, path, path, read_object(path / SETTINGS), ())
    return ColbertCheckpoint(SAVED, path, path, _config(path)["settings"], ())


def _config(path: Path) -> dict[str, Any]:
    return read_object(path / "config.json")
