"""Encoders of ours as folders that transformers or PyLate load.

huggingface  config.json, model.safetensors (the backbone under its own prefix, and `linear.weight`: the layout
             of Stanford's HF_ColBERT), tokenizer files, token_encoder.json (our settings), and
             artifact.metadata where the settings are such as Stanford's code knows
pylate       modules.json, config_sentence_transformers.json, 1_Dense/ (see `pylate`)
"""

import json
import string
from pathlib import Path
from typing import Any

from torch import Tensor

from optical_sweeps.encoders.checkpoints import INCIDENTAL, new_folder
from optical_sweeps.encoders.colbert_formats import pylate
from optical_sweeps.encoders.colbert_formats.files import METADATA, MODULES
from optical_sweeps.encoders.colbert_formats.own import SETTINGS
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.errors import UserError

FORMATS = ("huggingface", "pylate")


def export(encoder: TokenEncoder, folder: Path | str, format: str) -> None:
    """Write the encoder; `folder` must not be there, and appears whole at the end.

    Raises:
        UserError: the folder is there, or PyLate cannot do what the encoder's settings say.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"to: {folder} is there already; name another folder, or remove it")
    if format == "pylate":
        _check_pylate(encoder)
    with new_folder(folder) as part:
        _write_tokenizer(encoder, part)
        (_write_pylate if format == "pylate" else _write_huggingface)(encoder, part)


def _write_huggingface(encoder: TokenEncoder, folder: Path) -> None:
    prefix = encoder.backbone.base_model_prefix
    weights = {f"{prefix}.{name}": tensor for name, tensor in encoder.backbone.state_dict().items()}
    projection = {f"linear.{name}": tensor for name, tensor in encoder.projection.state_dict().items()}
    _write_weights(folder / "model.safetensors", weights | projection)
    _write_json(folder / "config.json", _config(encoder, "HF_ColBERT"))
    _write_json(folder / SETTINGS, encoder.settings.described())
    if (metadata := _metadata(encoder)) is not None:
        _write_json(folder / METADATA, metadata)


def _write_pylate(encoder: TokenEncoder, folder: Path) -> None:
    settings, dense = encoder.settings, encoder.projection
    _write_weights(folder / "model.safetensors", encoder.backbone.state_dict())
    _write_json(folder / "config.json", _config(encoder, type(encoder.backbone).__name__))
    modules = [("0", "", pylate.TRANSFORMER), ("1", "1_Dense", pylate.PYLATE_DENSE)]
    _write_json(
        folder / MODULES,
        [{"idx": int(name), "name": name, "path": path, "type": kind} for name, path, kind in modules],
    )
    longest = max(settings.query_length, settings.document_length) - 1  # PyLate puts its marker in afterwards
    _write_json(folder / pylate.TRANSFORMER_CONFIG, {"max_seq_length": longest, "do_lower_case": False})
    (folder / "1_Dense").mkdir()
    _write_weights(
        folder / "1_Dense" / "model.safetensors",
        {f"linear.{name}": tensor for name, tensor in dense.state_dict().items()},
    )
    described = {
        "in_features": dense.in_features,
        "out_features": dense.out_features,
        "bias": dense.bias is not None,
        "activation_function": pylate.IDENTITY,
    }
    _write_json(folder / "1_Dense" / "config.json", described)
    own: dict[str, Any] = {
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": None,
        "query_prefix": settings.query_marker,
        "document_prefix": settings.document_marker,
        "query_length": settings.query_length,
        "document_length": settings.document_length,
        "attend_to_expansion_tokens": settings.augmentation_attends,
        # an empty list means its default to PyLate; a query's marker stands in no document
        "skiplist_words": _skipped(encoder) or (settings.query_marker,),
    }
    _write_json(folder / pylate.CONFIG, own)


def _check_pylate(encoder: TokenEncoder) -> None:
    """PyLate has one marker a side, pads every query with mask tokens, and leaves out none of its tokens."""
    settings = encoder.settings
    wanted = {
        "query_augmentation": True,
        "use_special_tokens": True,
        "use_prefix_tokens": True,
        "query_prefix": "",
        "document_prefix": "",
    }
    for name, value in wanted.items():
        if (own := getattr(settings, name)) != value:
            raise UserError(
                f"format: pylate cannot do encoder.{name}={own!r}; train with encoder=markers, or export with "
                "format=huggingface"
            )
    for name in ("query_marker", "document_marker"):
        if getattr(settings, name) is None:
            raise UserError(
                f"format: pylate puts a marker into every text, and encoder.{name} is null; train with "
                "encoder=markers, or export with format=huggingface"
            )
    if len(encoder.leading_tokens) != 1:
        raise UserError(
            f"format: pylate puts its marker after the first token, but {encoder.name} begins texts with "
            f"{len(encoder.leading_tokens)} special tokens; export with format=huggingface"
        )


def _metadata(encoder: TokenEncoder) -> dict[str, Any] | None:
    """What Stanford's code has to know; None where it cannot do what the settings say."""
    settings = encoder.settings
    try:
        _check_pylate(encoder)
    except UserError:
        return None
    tokenizer = encoder.rust_tokenizer
    ascii_marks = {tokenizer.encode(mark, add_special_tokens=False).tokens[0] for mark in string.punctuation}
    skipped = set(_skipped(encoder))
    if settings.projection_bias or skipped not in (set(), ascii_marks):
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
    """Every token that documents leave out."""
    by_rule = encoder.punctuation_tokens() if encoder.settings.skip_punctuation else ()
    return tuple(dict.fromkeys((*by_rule, *encoder.settings.skip_tokens)))


def _config(encoder: TokenEncoder, architecture: str) -> dict[str, Any]:
    config = encoder.backbone.config.to_dict()
    own = {key: value for key, value in config.items() if key not in INCIDENTAL}
    return {**own, "architectures": [architecture], "torch_dtype": "float32"}


def _write_tokenizer(encoder: TokenEncoder, folder: Path) -> None:
    """Written by hand: transformers names the tokenizer's class otherwise from one version to the next."""
    roles = {role: str(token) for role, token in encoder.tokenizer.special_tokens_map.items() if token}
    (folder / "tokenizer.json").write_text(encoder.rust_tokenizer.to_str(), encoding="utf-8")
    _write_json(folder / "special_tokens_map.json", roles)
    settings = {
        **roles,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": encoder.longest_text,
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _write_weights(file: Path, weights: dict[str, Tensor]) -> None:
    import safetensors.torch

    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    safetensors.torch.save_file(own, file, {"format": "pt"})
    file.chmod(0o644)  # the library writes for its owner alone


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
