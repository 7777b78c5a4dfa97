"""The generated pages of the site: every command, option, config key and public name is on one."""

import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
import yaml

from optical_sweeps.commands.arguments import parser_of
from optical_sweeps.commands.config_comments import read_config
from optical_sweeps.commands.registry import COMMANDS
from tests.support.finished_sweeps import write_sweep

ROOT = Path(__file__).parents[1]


def _hook(name: str) -> ModuleType:
    """A module of docs/_site, which is no package."""
    sys.path.insert(0, str(ROOT / "docs" / "_site"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The Markdown of the generated pages of commands and configuration."""
    written = _hook("config_pages").config_pages(ROOT / "conf").items()
    return {**{path: text for path, (_, text) in written}, "commands": _hook("command_pages").command_page()}


def test_every_command_and_option_is_described(pages):
    for name in COMMANDS:
        assert f"### {name}\n" in pages["commands"]
        for option in parser_of(name).options():
            assert f"`{option}`" in pages["commands"] or option == "--help"


def _leaves(config: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        if key not in ("defaults", "hydra"):
            yield f"{prefix}{key}"
            if isinstance(value, Mapping):
                yield from _leaves(value, f"{prefix}{key}.")


FILES = sorted(path for path in (ROOT / "conf").rglob("*.yaml") if not path.stem.startswith("expected"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "conf")))
def test_every_key_of_a_config_is_listed_with_its_value(pages, path):
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    keys = read_config(path).keys
    listed = {key.name: key for key in keys if not key.name.startswith("hydra")}
    nested = {name for name in _leaves(content) if not _inside_flow(name, listed)}
    assert nested == {*listed}
    for name, key in listed.items():
        value = content
        for part in name.split("."):
            value = value[part]
        if key.value:
            assert yaml.safe_load(key.value) == value, name
        elif not isinstance(value, Mapping):
            assert value in (None, ""), name


def _inside_flow(name: str, listed: Mapping[str, object]) -> bool:
    """Whether a key is part of a mapping in braces, which is listed as one value."""
    parts = name.split(".")
    parents = (".".join(parts[:length]) for length in range(1, len(parts)))
    return any(parent in listed and listed[parent].value.startswith("{") for parent in parents)


def test_comments_of_a_config_are_its_meanings(pages):
    training = pages["reference/config/training_group.md"]
    assert "| `learning_rate` | `1.0e-4` | peak |" in training
    assert "docs/" not in pages["reference/config/objective_group.md"]
    assert "(../../concepts/objectives.md)" in pages["reference/config/objective_group.md"]


def test_the_terminal_picture_shows_what_the_command_prints(tmp_path):
    folder = tmp_path / "multirun" / "small"
    folder.mkdir(parents=True)
    write_sweep(folder)
    command = [sys.executable, "-m", "optical_sweeps", "sweep", "status", "multirun/small"]
    script = [sys.executable, str(ROOT / "docs/_site/terminal_picture.py"), "picture.svg"]
    subprocess.run(
        [*script, *command], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    svg = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert "url(http" not in svg
    assert "@import" not in svg
    shown = " ".join("".join(ElementTree.fromstring(svg).itertext()).split())
    plain = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, encoding="utf-8").stdout
    for line in plain.splitlines():
        assert " ".join(line.split()) in shown
