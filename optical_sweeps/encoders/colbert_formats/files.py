"""Files of a checkpoint folder: JSON, single weights, and a digest of all that counts."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

METADATA = "artifact.metadata"
MODULES = "modules.json"
COUNTED = (".json", ".safetensors", ".bin", ".txt", ".model", ".metadata")
"""Endings of files whose content counts; model cards, figures and logs do not. Nor does what is hidden, such as
`.cache` with the times of a download."""
LATELY = "training_args.bin"


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UserError: it is not there or no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"teacher.path: {file}: {_line(error)}; fetch the checkpoint again") from None


def read_object(file: Path) -> dict[str, Any]:
    """What a JSON file holds, which is an object; empty where there is no file."""
    if not file.is_file():
        return {}
    content = read_json(file)
    if not isinstance(content, dict):
        raise UserError(f"teacher.path: {file}: no JSON object; fetch the checkpoint again")
    return content


def read_weights(folder: Path, names: tuple[str, ...]) -> "dict[str, Tensor]":
    """Those of the named weights that a model's folder holds, from safetensors or a pickled state of tensors.

    Raises:
        UserError: there are no weights, or they cannot be read without running code.
    """
    import safetensors
    import torch

    found: dict[str, Tensor] = {}
    try:
        files = sorted(folder.glob("model*.safetensors"))
        for file in files:
            with safetensors.safe_open(file, "pt") as content:
                found |= {name: content.get_tensor(name) for name in names if name in content.keys()}  # noqa: SIM118
        if not files:
            files = sorted(folder.glob("pytorch_model*.bin"))
            for file in files:
                state = torch.load(file, map_location="cpu", weights_only=True)
                found |= {name: state[name] for name in names if name in state}
    except Exception as error:  # pickle's kinds are many
        raise UserError(f"teacher.path: {file}: weights cannot be read: {_line(error)}") from None
    if not files:
        raise UserError(f"teacher.path: {folder}: neither model.safetensors nor pytorch_model.bin; complete it")
    return {name: tensor.float() for name, tensor in found.items()}


def folder_digest(folder: Path) -> str:
    """A digest of every file of a checkpoint that counts, by its path in the folder and its content."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or file.suffix not in COUNTED or file.name == LATELY or not file.is_file():
            continue
        content = file_digest(file).hex()
        digest.update(f"{name.as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
