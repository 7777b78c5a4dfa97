"""Errors of Hydra and OmegaConf in one line, with what was probably meant."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from hydra.errors import ConfigCompositionException, MissingConfigException, SearchPathException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from optical_sweeps.config_classes import PACKAGE, config_class
from optical_sweeps.errors import RENAMED_KEYS, UserError, did_you_mean

UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'\.\s+To append to your config")
MISSING_FOLDER = re.compile(r"Additional config directory '(.*)' not found")


def hydra_message(error: Exception) -> str:
    """An error of Hydra or OmegaConf in one line; for a key of `RENAMED_KEYS` it names the new key."""
    text = " ".join(str(error).split())
    kind, _, rest = text.partition(": ")
    if kind == "LexerNoViableAltException":
        word = rest.partition(" ^")[0]
        return f"{word}: not key=value; keys, also those of a dict, are ASCII, and other values need quotes"
    for old, new in RENAMED_KEYS.items():
        if f"'{old}'" in text:
            return f"{old}: no such key; set {new}"
    if isinstance(error, MissingConfigException):
        return _missing_config(error) or text
    if isinstance(error, SearchPathException) and (folder := MISSING_FOLDER.search(text)):
        return no_config_dir(Path(folder[1]))
    if isinstance(error, ConfigCompositionException) and (key := UNKNOWN_KEY.search(text)):
        return _unknown_key(key[1], error) or text
    return text


def no_config_dir(folder: Path) -> str:
    """The message for a `--config-dir` that does not exist."""
    folder, here = folder.absolute(), Path.cwd()
    if folder.is_relative_to(here):
        return f"--config-dir {folder.relative_to(here)}: no such folder in {here}"
    return f"--config-dir {folder}: no such folder"


def _missing_config(error: MissingConfigException) -> str | None:
    """The message for an unknown option of a group, or an unknown root config; None if Hydra's is better."""
    if error.missing_cfg_file is None:
        return None
    group, _, name = error.missing_cfg_file.rpartition("/")
    remedy = "check the spelling"
    if error.options:
        remedy = f"the options are {', '.join(error.options)}{did_you_mean(name, error.options)}"
    if folder := _folder_with(error.missing_cfg_file):
        remedy = f"add --config-dir {folder}, which has it"
    if not group:
        return f"--config-name {name}: no such config; {remedy}"
    return f"{group}={name}: no such option; {remedy}"


def _folder_with(config: str) -> str | None:
    """A folder in the current one that has a config, such as `experiment/bazaar`."""
    folders = (path for path in sorted(Path.cwd().iterdir()) if not path.name.startswith("."))
    return next((folder.name for folder in folders if (folder / f"{config}.yaml").is_file()), None)


def _unknown_key(key: str, error: ConfigCompositionException) -> str | None:
    """The message for a key that its section does not accept; None if `+` can add the key."""
    cause = error.__cause__
    node = cause.parent_node if isinstance(cause, OmegaConfBaseException) else None
    root = node._get_root() if node is not None else None
    if not isinstance(root, DictConfig):
        return None
    section, path, rest = root, "", key
    while isinstance(child := _child(section, rest), DictConfig):
        name, _, rest = rest.partition(".")
        section, path = child, f"{path}.{name}" if path else name
    accepted, name = _accepted_keys(root, section, path), rest.partition(".")[0]
    if accepted is None or name in accepted:
        return None
    prefix = f"{path}." if path else ""
    every = [*_full_keys(root), *(f"{prefix}{each}" for each in accepted)]
    if not key.startswith("hydra"):
        every = [each for each in every if not each.startswith("hydra")]
    listed = f"; the keys are {', '.join(accepted)}" if accepted else ""
    return f"{prefix}{name}: no such key{listed}{did_you_mean(prefix + name, every)}"


def _child(section: DictConfig, key: str) -> object:
    """What a section has under the first part of a key, unresolved; None if it has nothing there."""
    return section._get_node(key.partition(".")[0], validate_access=False)


def _accepted_keys(root: DictConfig, section: DictConfig, path: str) -> list[str] | None:
    """The keys that a section may have; None if it is an open mapping."""
    present = [str(name) for name in section if name not in ("_target_", "hydra")]
    if "_target_" in section:
        return list(dict.fromkeys([*present, *_fields(path, section["_target_"])]))
    if is_dataclass(OmegaConf.get_type(section)):
        return present
    is_own_run = str(root.get("run_type", PACKAGE)).startswith(PACKAGE)
    is_top_level = "." not in path and path != "hydra"
    return present if present and is_own_run and is_top_level else None


def _fields(path: str, target: object) -> list[str]:
    """The fields of a section's class, which a config need not list."""
    try:
        kind = config_class(path, str(target))
    except UserError:  # of Hydra or a plugin
        return []
    return [field.name for field in fields(kind) if field.init] if is_dataclass(kind) else []


def _full_keys(root: DictConfig) -> Iterator[str]:
    """Every key of a config with its path."""
    plain = OmegaConf.to_container(root, resolve=False)
    assert isinstance(plain, dict)
    return _paths({str(name): value for name, value in plain.items()}, "")


def _paths(values: Mapping[str, object], prefix: str) -> Iterator[str]:
    for name, value in values.items():
        if name != "_target_":
            yield f"{prefix}{name}"
            if isinstance(value, Mapping):
                yield from _paths(value, f"{prefix}{name}.")
