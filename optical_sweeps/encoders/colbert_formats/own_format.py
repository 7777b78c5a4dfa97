"""Encoders that this program wrote: saved by `saved_encoders`, or exported for transformers."""

from pathlib import Path

from optical_sweeps.encoders.colbert_formats.checkpoint_files import read_object
from optical_sweeps.encoders.colbert_formats.colbert_checkpoint import ColbertCheckpoint
from optical_sweeps.errors import UserError

SETTINGS = "token_encoder.json"
SAVED_FORMAT = "optical-sweeps/token-encoder"  # `saved_encoders.FORMAT`, without its import of torch


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """The settings that the folder states.

    Raises:
        UserError: the file with the settings is damaged.
    """
    exported = (path / SETTINGS).is_file()
    file = path / (SETTINGS if exported else "config.json")
    settings = read_object(file) if exported else read_object(file).get("settings")
    if not isinstance(settings, dict) or not {"dim", "query_length", "document_length"} <= settings.keys():
        raise UserError(f"teacher.path: {file}: it has no settings of an encoder; write the folder again")
    settings["skip_tokens"] = tuple(settings.get("skip_tokens", ()))
    return ColbertCheckpoint("exported" if exported else "saved", path, path, settings)
