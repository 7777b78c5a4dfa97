"""Token encoders on disk: a folder for a whole encoder, a file for a student's difference from its teacher."""

import dataclasses
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import torch
from torch import Tensor

from optical_sweeps.encoders.backbones import Backbone
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tensor_files import save_tensors
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.transformer_layers import drop_pooler, encoder_half
from optical_sweeps.errors import UserError
from optical_sweeps.limits import parse_json, read_json

if TYPE_CHECKING:
    import transformers

FORMAT = "optical-sweeps/token-encoder"
DIFFERENCE = "optical-sweeps/token-encoder-difference"
VERSION = 2

# Facts about how a config was written rather than about the model.
INCIDENTAL = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version")


class EncoderConfig(TypedDict):
    """The content of an encoder's config.json."""

    format: str
    version: int
    name: str
    settings: dict[str, Any]
    backbone: dict[str, object]
    special_tokens: dict[str, str]


def fingerprint(encoder: TokenEncoder) -> str:
    """A digest of all that determines the encoder's output: weights, architecture, tokenizer, settings."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(_config(encoder), sort_keys=True).encode())
    digest.update(encoder.text_tokenizer.rust_tokenizer.to_str().encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def save_encoder(encoder: TokenEncoder, folder: Path | str) -> None:
    """Write config.json, model.safetensors and tokenizer.json; an existing `folder` is replaced at the end."""
    with new_folder(Path(folder)) as part:
        (part / "config.json").write_text(
            json.dumps(_config(encoder), indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        (part / "tokenizer.json").write_text(encoder.text_tokenizer.rust_tokenizer.to_str(), encoding="utf-8")
        weights = {name: tensor.contiguous().cpu() for name, tensor in encoder.state_dict().items()}
        save_tensors(weights, part / "model.safetensors")


def load_encoder(folder: Path | str) -> TokenEncoder:
    """The encoder that `save_encoder` wrote, bit for bit; raises UserError for anything else."""
    folder = Path(folder)
    config = _read_config(folder / "config.json")
    weights, _ = _read_weights(folder / "model.safetensors")
    try:
        backbone = Backbone(
            _empty_model(config["backbone"]),
            _read_tokenizer(folder / "tokenizer.json", config["special_tokens"]),
            config["name"],
        )
        encoder = TokenEncoder(backbone, TokenEncoderSettings(**config["settings"]))
        encoder.load_state_dict(weights, strict=True, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError, UserError) as error:
        raise _unusable(folder, f"its parts do not fit each other: {_line(error)}") from None
    return encoder.eval()


def save_difference(encoder: TokenEncoder, base: TokenEncoder, file: Path | str) -> None:
    """Write the parameters in which `encoder` differs from `base`, such as a student's from its teacher's.

    Raises:
        ValueError: the architectures or tokenizers differ.
    """
    if not _same_architecture(encoder, base):
        raise ValueError("a difference needs two encoders of one architecture and one tokenizer")
    base_weights = base.state_dict()
    differing = {
        name: tensor.contiguous().cpu()
        for name, tensor in encoder.state_dict().items()
        if tensor.dtype != base_weights[name].dtype or _bytes(tensor) != _bytes(base_weights[name])
    }
    metadata = {
        "format": DIFFERENCE,
        "version": str(VERSION),
        "base": fingerprint(base),
        "settings": json.dumps(dataclasses.asdict(encoder.settings)),
    }
    file = Path(file)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        save_tensors(differing, part, metadata)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def load_difference(file: Path | str, base: TokenEncoder) -> TokenEncoder:
    """The encoder that `save_difference` wrote relative to `base`; raises UserError for another base."""
    file = Path(file)
    weights, metadata = _read_weights(file)
    if metadata.get("format") != DIFFERENCE or metadata.get("version") != str(VERSION):
        raise _unusable(file, f"it is not a {DIFFERENCE} of version {VERSION}")
    if (written := metadata.get("base")) != fingerprint(base):
        raise UserError(
            f"{file}: it was written relative to the encoder {written}, not to {fingerprint(base)}; "
            "load it with the former, such as the teacher of the student's sweep"
        )
    copied = base.copy()
    backbone = Backbone(copied.backbone, base.tokenizer, base.name)
    try:
        encoder = TokenEncoder(backbone, TokenEncoderSettings(**parse_json(metadata["settings"])))
        encoder.load_state_dict({**copied.state_dict(), **weights}, strict=True, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError, UserError) as error:
        raise _unusable(file, f"its parts do not fit each other: {_line(error)}") from None
    return encoder.requires_grad_(True).eval()


def save_student(student: TokenEncoder, teacher: TokenEncoder, folder: Path | str) -> None:
    """Write a student into `folder`.

    As `student.safetensors`, its difference from the teacher, if both have the same architecture; otherwise as
    the folder `student`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if _same_architecture(student, teacher):
        save_difference(student, teacher, folder / "student.safetensors")
    else:
        save_encoder(student, folder / "student")


def load_student(folder: Path | str, teacher: TokenEncoder) -> TokenEncoder:
    """The student that `save_student` wrote; raises UserError if it belongs to another teacher."""
    whole = Path(folder) / "student"
    return load_encoder(whole) if whole.is_dir() else load_difference(f"{whole}.safetensors", teacher)


def model_config(model: "transformers.PreTrainedModel") -> dict[str, object]:
    """The model's config without facts about how it was written."""
    return {key: value for key, value in model.config.to_dict().items() if key not in INCIDENTAL}


def special_tokens(tokenizer: "transformers.PreTrainedTokenizerFast") -> dict[str, str]:
    """The tokenizer's special tokens by role, such as `cls_token`."""
    return {role: str(token) for role, token in tokenizer.special_tokens_map.items() if token}


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that replaces it if the block succeeds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    part.mkdir()  # not mkdtemp, whose folders are for their owner alone
    try:
        yield part
        if folder.exists():
            folder.rename(part.with_suffix(".old"))
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(part.with_suffix(".old"), ignore_errors=True)


def _config(encoder: TokenEncoder) -> EncoderConfig:
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": encoder.name,
        "settings": dataclasses.asdict(encoder.settings),
        "backbone": model_config(encoder.backbone),
        "special_tokens": special_tokens(encoder.tokenizer),
    }


def _same_architecture(one: TokenEncoder, other: TokenEncoder) -> bool:
    tokenizers = [encoder.text_tokenizer.rust_tokenizer for encoder in (one, other)]
    if one.tokenizer is not other.tokenizer and tokenizers[0].to_str() != tokenizers[1].to_str():
        return False
    shapes = [{name: tensor.shape for name, tensor in encoder.state_dict().items()} for encoder in (one, other)]
    return shapes[0] == shapes[1] and model_config(one.backbone) == model_config(other.backbone)


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def _read_config(file: Path) -> EncoderConfig:
    try:
        config = read_json(file)
    except (OSError, ValueError) as error:
        raise _unusable(file, _line(error)) from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise _unusable(file, f"it is not a {FORMAT}")
    if config.get("version") != VERSION:
        raise _unusable(file, f"it has schema version {config.get('version')}, this program reads {VERSION}")
    return cast(EncoderConfig, config)


def _read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights and the metadata of a safetensors file."""
    import safetensors

    try:
        file.open("rb").close()  # the library reports a file that may not be read as one that does not exist
        with safetensors.safe_open(file, "pt") as content:
            return {name: content.get_tensor(name) for name in content.keys()}, content.metadata() or {}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise _unusable(file, _line(error)) from None


def _read_tokenizer(file: Path, special: Mapping[str, str]) -> "transformers.PreTrainedTokenizerFast":
    import tokenizers
    import transformers

    try:
        tokenizer = tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises bare Exception
        raise _unusable(file, _line(error)) from None
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def _empty_model(config: Mapping[str, object]) -> "transformers.PreTrainedModel":
    """A model of this architecture with random weights; the random state of the process stays the same."""
    import transformers

    with torch.random.fork_rng(devices=[]):
        model: transformers.PreTrainedModel = transformers.AutoModel.from_config(
            transformers.AutoConfig.for_model(**config), trust_remote_code=False
        )
    model = encoder_half(model)
    drop_pooler(model)
    return model


def _unusable(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: not a usable encoder checkpoint ({reason}); write it again or name another")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
