"""PyLate's folders, which are sentence-transformers' with a linear map a token and some settings more.

modules.json                       the modules in order: a Transformer, then one Dense or several
config_sentence_transformers.json  prefixes, lengths, skip-list, whether expansion tokens are attended to
sentence_bert_config.json          do_lower_case
1_Dense/config.json, weights       in_features, out_features, bias, activation_function

How PyLate 1.1.2 encodes: a text is stripped and cut to its side's length less one; the prefix's token goes in
after the first; queries are padded to their length by mask tokens, and every token of them takes part; of
documents the tokens of the skip-list do not.
"""

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optical_sweeps.encoders.colbert_formats.checkpoint import ColbertCheckpoint
from optical_sweeps.encoders.colbert_formats.files import MODULES, read_json, read_object
from optical_sweeps.errors import UserError

CONFIG = "config_sentence_transformers.json"
TRANSFORMER_CONFIG = "sentence_bert_config.json"
IDENTITY = "torch.nn.modules.linear.Identity"
PYLATE_DENSE = "pylate.models.Dense.Dense"
TRANSFORMER = "sentence_transformers.models.Transformer"


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """What a PyLate or sentence-transformers folder says.

    Raises:
        UserError: it is a model of one vector a text, or has parts that are not supported.
    """
    config = read_object(path / CONFIG)
    backbone, projections = _modules(path)
    own = read_object(backbone / TRANSFORMER_CONFIG)
    prompt = (config.get("prompts") or {}).get(config.get("default_prompt_name")) or ""
    stated = {
        "dim": _chained(projections),
        "query_prefix": prompt,
        "document_prefix": prompt,
        "query_length": config.get("query_length") or 32,
        "document_length": config.get("document_length") or 180,
        "use_special_tokens": True,
        "use_prefix_tokens": True,
        "skip_punctuation": False,
        "query_augmentation": bool(config.get("do_query_expansion", True)),
        "augmentation_attends": bool(config.get("attend_to_expansion_tokens")),
        "query_marker": config.get("query_prefix") or "[Q] ",
        "document_marker": config.get("document_prefix") or "[D] ",
        "projection_bias": any(_bias(folder) for folder in projections),
    }
    # PyLate takes an empty list for none given
    words = config.get("skiplist_words") or list(string.punctuation)
    return ColbertCheckpoint(
        format="PyLate",
        folder=path,
        backbone=backbone,
        stated=stated,
        skip_words=tuple(words),
        projections=projections,
        lowercase=bool(own.get("do_lower_case")),
        strip=True,
    )


def _modules(path: Path) -> tuple[Path, tuple[Path, ...]]:
    """The folders of the Transformer and of the linear maps."""
    listed = read_json(path / MODULES)
    kinds = [(str(module["type"]).rpartition(".")[2], path / module["path"]) for module in listed]
    for kind, folder in kinds:
        if kind not in ("Transformer", "Dense", "Normalize"):
            raise UserError(
                f"teacher.path: {path / MODULES}: the module {folder.name or kind} is a {kind}: a ColBERT has "
                "a Transformer and Dense alone; for a model of one vector a text use backbone.name"
            )
    transformers = [folder for kind, folder in kinds if kind == "Transformer"]
    projections = tuple(folder for kind, folder in kinds if kind == "Dense")
    if len(transformers) != 1 or not projections:
        raise UserError(
            f"teacher.path: {path / MODULES}: {len(transformers)} Transformer and {len(projections)} Dense "
            "where one and at least one are due; name a trained ColBERT, or use the folder as backbone.name"
        )
    return transformers[0], projections


def _chained(projections: tuple[Path, ...]) -> int:
    """The dimensions that come out of the last map; every one takes what the one before gives."""
    width: int | None = None
    for folder in projections:
        config = read_object(folder / "config.json")
        _check_linear(folder, config)
        if width not in (None, config["in_features"]):
            raise UserError(
                f"teacher.path: {folder}: takes {config['in_features']} features of {width}; fetch it again"
            )
        width = int(config["out_features"])
    assert width is not None
    return width


def _check_linear(folder: Path, config: Mapping[str, Any]) -> None:
    """Maps in a row are one map only where nothing bends between them."""
    if missing := {"in_features", "out_features"} - config.keys():
        raise UserError(f"teacher.path: {folder / 'config.json'}: no {min(missing)}; fetch it again")
    activation = str(config.get("activation_function", IDENTITY))
    if activation.rpartition(".")[2] != "Identity" or config.get("use_residual"):
        what = "a residual" if config.get("use_residual") else activation
        raise UserError(
            f"teacher.path: {folder / 'config.json'}: {what} in a projection is not supported; name a "
            "checkpoint whose Dense layers are linear (activation_function Identity)"
        )


def _bias(folder: Path) -> bool:
    return bool(read_object(folder / "config.json").get("bias", True))
