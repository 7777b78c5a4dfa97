"""Encoders that this program wrote: those it saved for itself, and those it exported for transformers."""

from pathlib import Path
from typing import Any

from optical_sweeps.encoders.colbert_formats.checkpoint import ColbertCheckpoint
from optical_sweeps.encoders.colbert_formats.files import read_object
from optical_sweeps.errors import UserError

SETTINGS = "token_encoder.json"
SAVED, EXPORTED = "saved", "exported"
SAVED_FORMAT = "optical-sweeps/token-encoder"  # as in encoders.checkpoints, which needs torch
LATER: dict[str, Any] = {
    "query_marker": None,
    "document_marker": None,
    "skip_tokens": (),
    "projection_bias": False,
}
"""Settings that a folder leaves out where they are so (`TokenEncoderSettings.described`)."""


def is_own(path: Path) -> bool:
    """Whether we wrote the folder."""
    return (path / SETTINGS).is_file() or _config(path).get("format") == SAVED_FORMAT


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """What an encoder's folder of ours says.

    Raises:
        UserError: the file with the settings is damaged.
    """
    exported = (path / SETTINGS).is_file()
    settings = read_object(path / SETTINGS) if exported else _config(path).get("settings")
    if not isinstance(settings, dict) or not {"dim", "query_length", "document_length"} <= settings.keys():
        file = path / (SETTINGS if exported else "config.json")
        raise UserError(f"teacher.path: {file}: no settings of an encoder in it; write the folder again")
    stated = LATER | settings
    stated["skip_tokens"] = tuple(stated["skip_tokens"])
    return ColbertCheckpoint(EXPORTED if exported else SAVED, path, path, stated, ())


def _config(path: Path) -> dict[str, Any]:
    return read_object(path / "config.json")
