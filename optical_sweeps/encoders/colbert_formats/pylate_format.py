"""PyLate's folders: those of sentence-transformers with a linear map per token and more settings.

modules.json                       the modules in order: a Transformer, then one or more Dense
config_sentence_transformers.json  prefixes, lengths, skip list, whether expansion tokens are attended to
sentence_bert_config.json          do_lower_case
1_Dense/config.json, weights       in_features, out_features, bias, activation_function

Encoding in PyLate 1.6: a text is stripped and truncated to its side's length less one; the prefix's token is
inserted after the first token, or none if the prefix is empty (since 1.5); queries are padded to their length
with mask tokens (unless `do_query_expansion` is false, since 1.3), and all their tokens take part; documents
exclude the tokens of the skip list.
"""

import string
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from optical_sweeps.encoders.colbert_formats.checkpoint_files import MODULES, read_json, read_object
from optical_sweeps.encoders.colbert_formats.colbert_checkpoint import ColbertCheckpoint
from optical_sweeps.errors import UserError

CONFIG = "config_sentence_transformers.json"
TRANSFORMER_CONFIG = "sentence_bert_config.json"
IDENTITY = "torch.nn.modules.linear.Identity"
PYLATE_DENSE = "pylate.models.Dense.Dense"
TRANSFORMER = "sentence_transformers.models.Transformer"


class Module(TypedDict):
    """An entry of modules.json."""

    idx: int
    name: str
    path: str
    type: str


class PylateConfig(TypedDict, total=False):
    """The content of config_sentence_transformers.json."""

    prompts: dict[str, str] | None
    default_prompt_name: str | None
    similarity_fn_name: str | None
    query_prefix: str | None
    document_prefix: str | None
    query_length: int | None
    document_length: int | None
    do_query_expansion: bool
    attend_to_expansion_tokens: bool
    skiplist_words: list[str]


def open_checkpoint(path: Path) -> ColbertCheckpoint:
    """The settings that a PyLate or sentence-transformers folder states.

    Raises:
        UserError: the model gives one vector per text, or has unsupported parts.
    """
    config = cast(PylateConfig, read_object(path / CONFIG))
    backbone, projections = _modules(path)
    prompt = (config.get("prompts") or {}).get(config.get("default_prompt_name") or "") or ""
    settings = {
        "dim": _output_width(projections),
        "query_prefix": prompt,
        "document_prefix": prompt,
        "query_length": config.get("query_length") or 32,
        "document_length": config.get("document_length") or 180,
        "use_special_tokens": True,
        "use_prefix_tokens": True,
        "skip_punctuation": False,
        "query_augmentation": bool(config.get("do_query_expansion", True)),
        "augmentation_attends": bool(config.get("attend_to_expansion_tokens")),
        "query_marker": _marker(config.get("query_prefix"), "[Q] "),
        "document_marker": _marker(config.get("document_prefix"), "[D] "),
        "projection_bias": any(read_object(folder / "config.json").get("bias", True) for folder in projections),
    }
    return ColbertCheckpoint(
        format="PyLate",
        folder=path,
        backbone=backbone,
        settings=settings,
        skip_words=tuple(string.punctuation if (words := config.get("skiplist_words")) is None else words),
        projections=projections,
        lowercase=bool(read_object(backbone / TRANSFORMER_CONFIG).get("do_lower_case")),
        strip=True,
    )


def _marker(prefix: str | None, default: str) -> str | None:
    """The token that PyLate inserts: its default if no prefix is stated, none if the prefix is empty."""
    return default if prefix is None else prefix or None


def _modules(path: Path) -> tuple[Path, tuple[Path, ...]]:
    """The folders of the Transformer and of the linear maps."""
    kinds = [_kind_and_folder(path, module) for module in _entries(path)]
    for kind, folder in kinds:
        if kind not in ("Transformer", "Dense", "Normalize"):
            raise UserError(
                f"teacher.path: {path / MODULES}: the module {folder.name or kind} is a {kind}, but a ColBERT "
                "has only a Transformer and Dense modules; use a model of one vector per text as backbone.name"
            )
    transformers = [folder for kind, folder in kinds if kind == "Transformer"]
    projections = tuple(folder for kind, folder in kinds if kind == "Dense")
    if len(transformers) != 1 or not projections:
        raise UserError(
            f"teacher.path: {path / MODULES}: {len(transformers)} Transformer and {len(projections)} Dense "
            "instead of one and at least one; name a trained ColBERT, or use the folder as backbone.name"
        )
    return transformers[0], projections


def _entries(path: Path) -> list[object]:
    modules = read_json(path / MODULES)
    if not isinstance(modules, list):
        raise UserError(f"teacher.path: {path / MODULES}: it is not a list of modules; fetch it again")
    return modules


def _kind_and_folder(path: Path, module: object) -> tuple[str, Path]:
    """A module's kind, and its folder, which lies inside the checkpoint's."""
    if not isinstance(module, dict) or not all(isinstance(module.get(key), str) for key in ("type", "path")):
        raise UserError(f"teacher.path: {path / MODULES}: {module!r} is not a module; fetch it again")
    folder = path / module["path"]
    if not folder.resolve().is_relative_to(path.resolve()):
        raise UserError(
            f"teacher.path: {path / MODULES}: the module {module['path']!r} lies outside the checkpoint; "
            "fetch it again"
        )
    return module["type"].rpartition(".")[2], folder


def _output_width(projections: tuple[Path, ...]) -> int:
    """Dimensions that the last map returns; each map takes what the previous one returns."""
    width: object = None
    for folder in projections:
        config = read_object(folder / "config.json")
        _check_linear(folder, config)
        if width not in (None, config["in_features"]):
            raise UserError(
                f"teacher.path: {folder}: takes {config['in_features']} features of {width}; fetch it again"
            )
        width = config["out_features"]
    if not isinstance(width, int):
        raise UserError(f"teacher.path: {projections[-1]}: out_features is {width!r}; fetch it again")
    return width


def _check_linear(folder: Path, config: Mapping[str, object]) -> None:
    """Consecutive maps can be combined into one only if each is linear."""
    if missing := {"in_features", "out_features"} - config.keys():
        raise UserError(f"teacher.path: {folder / 'config.json'}: no {min(missing)}; fetch it again")
    activation = str(config.get("activation_function", IDENTITY))
    if activation.rpartition(".")[2] != "Identity" or config.get("use_residual"):
        part = "a residual" if config.get("use_residual") else activation
        raise UserError(
            f"teacher.path: {folder / 'config.json'}: {part} in a projection is not supported; name a "
            "checkpoint whose Dense layers are linear (activation_function Identity)"
        )
