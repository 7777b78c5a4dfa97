"""JSON and weights of checkpoint folders."""

from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps import limits
from optical_sweeps.errors import UserError, first_line

if TYPE_CHECKING:
    from torch import Tensor

METADATA = "artifact.metadata"
MODULES = "modules.json"
PROJECTION = "linear.weight"


def read_json(file: Path) -> object:
    """The content of a JSON file.

    Raises:
        UserError: it does not exist or is not JSON.
    """
    try:
        return limits.read_json(file)
    except (OSError, ValueError) as error:
        raise UserError(f"teacher.path: {file}: {first_line(error)}; fetch the checkpoint again") from None


def read_object(file: Path) -> dict[str, object]:
    """The object in a JSON file; empty if there is no file."""
    if not file.is_file():
        return {}
    content = read_json(file)
    if not isinstance(content, dict):
        raise UserError(f"teacher.path: {file}: it is not a JSON object; fetch the checkpoint again")
    return content


def read_weights(folder: Path, names: tuple[str, ...]) -> "dict[str, Tensor]":
    """Those of the named weights that a model's folder has, in float32.

    Raises:
        UserError: there are no weights, or they cannot be read without running code.
    """
    import safetensors
    import torch

    weights: dict[str, Tensor] = {}
    try:
        files = sorted(folder.glob("model*.safetensors"))
        for file in files:
            with safetensors.safe_open(file, "pt") as content:
                weights |= {name: content.get_tensor(name) for name in names if name in content.keys()}  # noqa: SIM118
        if not files:
            files = sorted(folder.glob("pytorch_model*.bin"))
            for file in files:
                state = torch.load(file, map_location="cpu", weights_only=True)
                weights |= {name: state[name] for name in names if name in state}
    except Exception as error:  # pickle raises many kinds
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"teacher.path: {file}: weights cannot be read: {reason}") from None
    if not files:
        raise UserError(f"teacher.path: {folder}: neither model.safetensors nor pytorch_model.bin; complete it")
    return {name: tensor.float() for name, tensor in weights.items()}
