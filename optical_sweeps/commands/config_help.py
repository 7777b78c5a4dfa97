"""The part of `--help` that lists a command's own settings, with the comments of conf/ as their meanings."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

from optical_sweeps.commands.config_comments import Config, Key, read_config

WIDTH = 100
"""Columns of the help."""

COLUMN = 26
"""Columns of a key and its value."""

ROOT_OF_RUNS = "train"
"""The root config of a run: it has so many keys that the help names them only."""


def is_of_runs(conf: Path, root: str) -> bool:
    """Whether a root config contains all settings of a run."""
    return root in (ROOT_OF_RUNS, "teacher") or any(
        entry.name == ROOT_OF_RUNS for entry in read_config(conf / f"{root}.yaml").includes
    )


def settings_help(conf: Path, root: str) -> str:
    """The keys of a root config with their values and meanings, and the groups of its defaults list.

    The config of a run contributes only its own keys to its own help, and no groups.

    Args:
        conf: the folder of the configs.
        root: name of the root config.
    """
    of_runs = is_of_runs(conf, root)
    configs = [read_config(conf / f"{root}.yaml")] if of_runs else list(_chain(conf, root))
    keys = {key.name: key for config in configs for key in config.keys}
    shown = [key for key in keys.values() if (key.value or key.meaning) and _is_setting(key)]
    included = [] if of_runs else [entry for config in configs for entry in config.includes]
    groups = {entry.name: entry for entry in included if _is_group(entry)}
    lines = ["settings, as key=value:", *(line for key in shown for line in _lines(key))] if shown else []
    if groups:
        lines += ["", "config groups, as group=OPTION:"]
    for name, entry in groups.items():
        folder = conf / name.partition("@")[0].lstrip("/")
        options = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        lines += _lines(Key(name, entry.value, "; ".join(filter(None, (entry.meaning, f"options: {options}")))))
    return "\n".join(lines)


def _chain(conf: Path, root: str) -> Iterator[Config]:
    """The root config after the root configs that it includes."""
    config = read_config(conf / f"{root}.yaml")
    for entry in config.includes:
        if not entry.value and entry.name != "_self_":
            yield from _chain(conf, entry.name)
    yield config


def _is_setting(key: Key) -> bool:
    parts = key.name.split(".")
    return parts[0] != "hydra" and parts[-1] != "_target_"


def _is_group(entry: Key) -> bool:
    return bool(entry.value) and not entry.name.startswith("override ")


def _lines(key: Key) -> list[str]:
    """A key with its meaning beside it, or below it if it is long."""
    setting = f"  {key.name}={key.value}" if key.value else f"  {key.name}"
    wrapped = textwrap.wrap(key.meaning, WIDTH - COLUMN) or [""]
    beside = len(setting) < COLUMN
    first = [f"{setting:<{COLUMN}}{wrapped[0]}".rstrip()] if beside else [setting]
    return [*first, *(f"{'':<{COLUMN}}{line}" for line in wrapped[beside:] if line)]
