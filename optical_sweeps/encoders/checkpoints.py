"""Token encoders on disk: a folder for a whole one, a file for what sets one apart from another."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optical_sweeps.encoders.backbones import Backbone, drop_pooler
from optical_sweeps.encoders.token_encoder import TokenEncoder, TokenEncoderSettings
from optical_sweeps.errors import UserError

FORMAT = "optical-sweeps/token-encoder"
DIFFERENCE = "optical-sweeps/token-encoder-difference"
VERSION = 1

# Facts about the writing of a config rather than about the model.
INCIDENTAL = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version")


def fingerprint(encoder: TokenEncoder) -> str:
    """A digest of all that the encoder's output depends on: weights, architecture, tokenizer, settings."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(_description(encoder), sort_keys=True).encode())
    digest.update(encoder.rust_tokenizer.to_str().encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def save_encoder(encoder: TokenEncoder, folder: Path | str) -> None:
    """Write config.json, model.safetensors and tokenizer.json; `folder` is replaced at the very end."""
    import safetensors.torch

    with new_folder(Path(folder)) as part:
        (part / "config.json").write_text(json.dumps(_description(encoder), indent=2, sort_keys=True) + "\n")
        (part / "tokenizer.json").write_text(encoder.rust_tokenizer.to_str())
        safetensors.torch.save_file(_weights(encoder), part / "model.safetensors")
        shutil.copymode(part / "config.json", part / "model.safetensors")  # written for its owner alone


def load_encoder(folder: Path | str) -> TokenEncoder:
    """The encoder that `save_encoder` wrote, bit for bit; raises UserError for anything else."""
    folder = Path(folder)
    described = _read_config(folder / "config.json")
    weights = _read_weights(folder / "model.safetensors")
    try:
        backbone = Backbone(
            _empty_model(described["backbone"]),
            _read_tokenizer(folder / "tokenizer.json", described["special_tokens"]),
            described["name"],
        )
        encoder = TokenEncoder(backbone, TokenEncoderSettings(**described["settings"]))
        encoder.load_state_dict(weights, strict=True, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _unusable(folder, f"its parts do not fit each other: {_line(error)}") from None
    return encoder.eval()


def save_difference(encoder: TokenEncoder, base: TokenEncoder, file: Path | str) -> None:
    """Write the parameters in which `encoder` differs from `base`, such as a student's from its teacher's.

    Raises ValueError if the two differ in more than values and settings.
    """
    import safetensors.torch

    ours, theirs = encoder.state_dict(), base.state_dict()
    if not _same_shape(encoder, base):
        raise ValueError("a difference needs two encoders of one architecture and one tokenizer")
    differing = {
        name: tensor.contiguous().cpu()
        for name, tensor in ours.items()
        if tensor.dtype != theirs[name].dtype or _bytes(tensor) != _bytes(theirs[name])
    }
    metadata = {
        "format": DIFFERENCE,
        "version": str(VERSION),
        "base": fingerprint(base),
        "settings": json.dumps(encoder.settings.described()),
    }
    file = Path(file)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        safetensors.torch.save_file(differing, part, metadata)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def load_difference(file: Path | str, base: TokenEncoder) -> TokenEncoder:
    """The encoder that `save_difference` wrote over `base`; raises UserError if it was another base."""
    file = Path(file)
    weights, metadata = _read_weights(file), _read_metadata(file)
    if metadata.get("format") != DIFFERENCE or metadata.get("version") != str(VERSION):
        raise _unusable(file, f"it is not a {DIFFERENCE} of version {VERSION}")
    if metadata["base"] != fingerprint(base):
        raise UserError(
            f"{file}: it was written over the encoder {metadata['base']}, not over {fingerprint(base)}: "
            "load it over the former, for example the teacher of its own sweep"
        )
    encoder = base.copy()
    encoder.settings = TokenEncoderSettings(**json.loads(metadata["settings"]))
    encoder.load_state_dict({**encoder.state_dict(), **weights}, strict=True, assign=True)
    return encoder.eval()


def save_student(student: TokenEncoder, teacher: TokenEncoder, folder: Path | str) -> None:
    """Write into `folder` a student: its difference from the teacher, or all of it where it has other parts.

    `student.safetensors` in the first case, the folder `student` in the second.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if _same_shape(student, teacher):
        save_difference(student, teacher, folder / "student.safetensors")
    else:
        save_encoder(student, folder / "student")


def load_student(folder: Path | str, teacher: TokenEncoder) -> TokenEncoder:
    """The student that `save_student` wrote; raises UserError if it was over another teacher."""
    whole = Path(folder) / "student"
    return load_encoder(whole) if whole.is_dir() else load_difference(f"{whole}.safetensors", teacher)


def _description(encoder: TokenEncoder) -> dict[str, Any]:
    config = encoder.backbone.config.to_dict()
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": encoder.name,
        "settings": encoder.settings.described(),
        "backbone": {key: value for key, value in config.items() if key not in INCIDENTAL},
        "special_tokens": _special_tokens(encoder.tokenizer),
    }


def _special_tokens(tokenizer: Any) -> dict[str, Any]:
    return {role: token for role, token in tokenizer.special_tokens_map.items() if token}


def _same_shape(one: TokenEncoder, other: TokenEncoder) -> bool:
    if one.tokenizer is not other.tokenizer and one.rust_tokenizer.to_str() != other.rust_tokenizer.to_str():
        return False
    shapes = [{name: tensor.shape for name, tensor in e.state_dict().items()} for e in (one, other)]
    return shapes[0] == shapes[1] and _description(one)["backbone"] == _description(other)["backbone"]


def _weights(encoder: TokenEncoder) -> dict[str, Tensor]:
    return {name: tensor.contiguous().cpu() for name, tensor in encoder.state_dict().items()}


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


# --------------------------------------------------------------------------------------------- reading


def _read_config(file: Path) -> dict[str, Any]:
    try:
        described = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise _unusable(file, _line(error)) from None
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise _unusable(file, f"it is not a {FORMAT}")
    if described.get("version") != VERSION:
        raise _unusable(file, f"it has schema version {described.get('version')}, this program reads {VERSION}")
    return described


def _read_weights(file: Path) -> dict[str, Tensor]:
    import safetensors
    import safetensors.torch

    try:
        return dict(safetensors.torch.load_file(file))
    except (OSError, safetensors.SafetensorError) as error:
        raise _unusable(file, _line(error)) from None


def _read_metadata(file: Path) -> dict[str, str]:
    import safetensors

    with safetensors.safe_open(file, "pt") as content:
        return content.metadata() or {}


def _read_tokenizer(file: Path, special_tokens: dict[str, Any]) -> Any:
    import tokenizers
    import transformers

    try:
        content = file.read_text()
    except OSError as error:
        raise _unusable(file, _line(error)) from None
    try:
        tokenizer = tokenizers.Tokenizer.from_str(content)
    except Exception as error:  # the library raises bare Exception
        raise _unusable(file, _line(error)) from None
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special_tokens)


def _empty_model(config: dict[str, Any]) -> Any:
    """The architecture, with weights that are about to be replaced; no draw of ours is moved by it."""
    import transformers

    with torch.random.fork_rng(devices=[]):
        model = transformers.AutoModel.from_config(
            transformers.AutoConfig.for_model(**config), attn_implementation="sdpa", trust_remote_code=False
        )
    drop_pooler(model)
    return model


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its name when the block ends well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)
        if folder.exists():
            folder.rename(part.with_suffix(".old"))
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(part.with_suffix(".old"), ignore_errors=True)


def _unusable(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: not a usable encoder checkpoint ({reason}): write it again or name another")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
