"""Encoders as folders that transformers or PyLate load.

huggingface  config.json, model.safetensors (the backbone under its usual prefix, and `linear.weight`: the
             layout of Stanford's HF_ColBERT), tokenizer files, token_encoder.json (our settings), and
             artifact.metadata if Stanford's code supports the settings
pylate       modules.json, config_sentence_transformers.json, 1_Dense/ (see `pylate_format`)
"""

import dataclasses
import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from optical_sweeps.checks import check_new_folder
from optical_sweeps.encoders.backbone_families import ENCODER_HALVES
from optical_sweeps.encoders.colbert_formats import pylate_format
from optical_sweeps.encoders.colbert_formats.checkpoint_files import METADATA, MODULES
from optical_sweeps.encoders.colbert_formats.own_format import SETTINGS
from optical_sweeps.encoders.colbert_formats.pylate_format import Module, PylateConfig
from optical_sweeps.encoders.saved_encoders import model_config, new_folder, special_tokens
from optical_sweeps.encoders.tensor_files import save_tensors
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.encoders.transformer_layers import is_encoder_half, longest_text
from optical_sweeps.errors import UserError

Format = Literal["huggingface", "pylate"]
FORMATS: tuple[Format, ...] = ("huggingface", "pylate")


def export(encoder: TokenEncoder, folder: Path | str, format: Format) -> None:
    """Write the encoder into a new folder, which appears only when it is complete.

    Raises:
        UserError: the folder exists, or PyLate does not support the encoder's settings.
    """
    folder = Path(folder)
    check_export(dataclasses.asdict(encoder.settings), encoder.backbone.config.model_type, folder, format)
    if format == "pylate" and (problem := _unsupported_by_pylate(encoder)):
        raise UserError(f"format: {problem}, or export with format=huggingface")
    with new_folder(folder) as part:
        _write_tokenizer(encoder, part)
        if format == "pylate":
            _write_pylate(encoder, part)
        else:
            _write_huggingface(encoder, part)


def check_export(settings: Mapping[str, object], family: str | None, folder: Path, format: Format) -> None:
    """Refuse an export from the encoder's settings and its backbone's family, before the encoder is loaded.

    Args:
        family: `model_type` in the backbone's config.json; None if it is not known before loading.

    Raises:
        UserError: the folder exists, or PyLate does not support a setting or the backbone.
    """
    check_new_folder("to", folder)
    if format == "pylate" and (problem := _setting_unknown_to_pylate(settings, family)):
        raise UserError(f"format: {problem}, or export with format=huggingface")


def _write_huggingface(encoder: TokenEncoder, folder: Path) -> None:
    prefix = encoder.backbone.base_model_prefix
    half = "encoder." if is_encoder_half(encoder.backbone) else ""
    weights = {f"{prefix}.{half}{name}": tensor for name, tensor in encoder.backbone.state_dict().items()}
    if half:  # the name of the embeddings that encoder and decoder share
        weights[f"{prefix}.shared.weight"] = encoder.backbone.get_input_embeddings().weight
    projection = {f"linear.{name}": tensor for name, tensor in encoder.projection.state_dict().items()}
    _write_weights(folder / "model.safetensors", weights | projection)
    _write_config(encoder, folder, "HF_ColBERT")
    _write_json(folder / SETTINGS, dataclasses.asdict(encoder.settings))
    if (metadata := _metadata(encoder)) is not None:
        _write_json(folder / METADATA, metadata)


def _write_pylate(encoder: TokenEncoder, folder: Path) -> None:
    settings, dense = encoder.settings, encoder.projection
    _write_weights(folder / "model.safetensors", encoder.backbone.state_dict())
    _write_config(encoder, folder, type(encoder.backbone).__name__)
    modules: list[Module] = [
        {"idx": 0, "name": "0", "path": "", "type": pylate_format.TRANSFORMER},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": pylate_format.PYLATE_DENSE},
    ]
    _write_json(folder / MODULES, modules)
    longest = max(settings.query_length, settings.document_length) - 1  # PyLate inserts its marker afterwards
    _write_json(folder / pylate_format.TRANSFORMER_CONFIG, {"max_seq_length": longest, "do_lower_case": False})
    (folder / "1_Dense").mkdir()
    _write_weights(
        folder / "1_Dense" / "model.safetensors",
        {f"linear.{name}": tensor for name, tensor in dense.state_dict().items()},
    )
    dense_config = {
        "in_features": dense.in_features,
        "out_features": dense.out_features,
        "bias": settings.projection_bias,
        "activation_function": pylate_format.IDENTITY,
    }
    _write_json(folder / "1_Dense" / "config.json", dense_config)
    config: PylateConfig = {
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": None,
        "query_prefix": settings.query_marker or "",
        "document_prefix": settings.document_marker or "",
        "query_length": settings.query_length,
        "document_length": settings.document_length,
        "do_query_expansion": settings.query_augmentation,
        "attend_to_expansion_tokens": settings.augmentation_attends,
        # before 1.5 PyLate replaces an empty list by its default; no document contains a query's marker
        "skiplist_words": list(_skipped(encoder)) or [mark for mark in (settings.query_marker,) if mark],
    }
    _write_json(folder / pylate_format.CONFIG, config)


def _unsupported_by_pylate(encoder: TokenEncoder) -> str | None:
    """A setting that PyLate does not support, and its remedy; None if it supports all."""
    family = encoder.backbone.config.model_type
    if problem := _setting_unknown_to_pylate(dataclasses.asdict(encoder.settings), family):
        return problem
    marked = encoder.settings.query_marker is not None or encoder.settings.document_marker is not None
    if marked and (leading := len(encoder.text_tokenizer.leading)) != 1:
        return (
            f"pylate inserts its marker after the first token, but {encoder.name} begins texts with {leading} "
            "special tokens; choose another backbone"
        )
    return None


def _setting_unknown_to_pylate(settings: Mapping[str, object], family: str | None) -> str | None:
    """A setting that no option of PyLate expresses (it keeps every query token), or a backbone it lacks."""
    required = {
        "use_special_tokens": True,
        "use_prefix_tokens": True,
        "query_prefix": "",
        "document_prefix": "",
    }
    for name, value in required.items():
        if (actual := settings.get(name, value)) != value:
            return f"pylate does not support encoder.{name}={actual!r}; train with encoder=markers"
    if family in ENCODER_HALVES:
        return f"pylate does not take the encoder half of the family {family}; choose another backbone"
    return None


def _metadata(encoder: TokenEncoder) -> dict[str, object] | None:
    """The metadata that Stanford's code reads; None if it does not support the settings."""
    settings = encoder.settings
    if _unsupported_by_pylate(encoder) or settings.projection_bias or not settings.query_augmentation:
        return None
    if settings.query_marker is None or settings.document_marker is None:
        return None
    tokenizer = encoder.text_tokenizer.rust_tokenizer
    ascii_marks = {tokenizer.encode(mark, add_special_tokens=False).tokens[0] for mark in string.punctuation}
    skipped = set(_skipped(encoder)) - {encoder.tokenizer.pad_token}  # which that code skips always
    if skipped not in (set(), ascii_marks):
        return None
    return {
        "dim": settings.dim,
        "query_maxlen": settings.query_length,
        "doc_maxlen": settings.document_length,
        "mask_punctuation": bool(skipped),
        "attend_to_mask_tokens": settings.augmentation_attends,
        "query_token_id": settings.query_marker,
        "doc_token_id": settings.document_marker,
        "similarity": "cosine",
        "interaction": "colbert",
    }


def _skipped(encoder: TokenEncoder) -> tuple[str, ...]:
    """Every token that documents exclude."""
    settings = encoder.settings
    punctuation = encoder.text_tokenizer.punctuation_tokens() if settings.skip_punctuation else ()
    return tuple(dict.fromkeys((*punctuation, *settings.skip_tokens)))


def _write_config(encoder: TokenEncoder, folder: Path, architecture: str) -> None:
    config = model_config(encoder.backbone)
    _write_json(folder / "config.json", {**config, "architectures": [architecture], "torch_dtype": "float32"})


def _write_tokenizer(encoder: TokenEncoder, folder: Path) -> None:
    """Written here because the name of the tokenizer's class differs between versions of transformers."""
    roles = special_tokens(encoder.tokenizer)
    content = encoder.text_tokenizer.rust_tokenizer.to_str()
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    _write_json(folder / "special_tokens_map.json", roles)
    settings = {
        **roles,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": longest_text(encoder.backbone),
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _write_weights(file: Path, weights: Mapping[str, Tensor]) -> None:
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    save_tensors(copies, file, {"format": "pt"})


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
