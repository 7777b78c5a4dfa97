"""Imports go one way through the rooms of the package."""

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

import optical_sweeps

PACKAGE = Path(optical_sweeps.__file__).parent
ORDER = (
    "lazy_exports", "redaction", "terminal_text", "errors", "atomic_files", "array_files", "spreadsheets",
    "limits", "interruption", "seeds", "checks", "terminal_encoding", "home_folder", "console",
    "config_classes", "settings", "artifacts", "compiled",
    "transport", "corpora", "encoders", "objectives", "training", "retrieval", "evaluation",
    "curves/tables", "curves/statistics", "curves/laws", "curves/claims", "curves/figures", "curves",
    "tracking",
    "runs", "slurm", "sweeps", "tuning", "runs/spec", "runs/shared", "runs/distillation",
    "inspection", "report", "comparison", "commands", "cli",
)  # fmt: skip
"""A room imports only from itself and from the rooms before it."""

RETRIEVAL = {
    f"optical_sweeps.{room}"
    for room in ("transport", "corpora", "encoders", "objectives", "training", "retrieval", "evaluation")
}
COMMANDS = {"optical_sweeps.commands", "optical_sweeps.cli"}

FREE_OF = {
    "transport": {"lightning", "hydra", "omegaconf", "wandb"},
    "curves": {"lightning", "hydra", "omegaconf", "wandb", "torch"},
    # the sweep engine knows a run by runs/run.py alone
    "runs": RETRIEVAL | COMMANDS | {"lightning"},
    "slurm": RETRIEVAL | COMMANDS | {"lightning", "torch"},
    "sweeps": RETRIEVAL | COMMANDS | {"lightning", "torch"},
    "tuning": RETRIEVAL | COMMANDS | {"lightning", "torch"},
    "tracking": RETRIEVAL | COMMANDS | {"lightning", "torch"},
}
"""Rooms, and the packages that their files do not import."""


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _room(path: Path) -> str:
    return _room_of([part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts])


def _room_of(parts: Sequence[str]) -> str:
    """The room of a module: `runs/shared` for a nested folder in the order, otherwise its first part."""
    nested = "/".join(parts[:2])
    return nested if nested in ORDER else parts[0]


def _files() -> list[Path]:
    skipped = {"__init__", "__main__", "conf"}
    return [path for path in sorted(PACKAGE.rglob("*.py")) if _room(path) not in skipped]


def _files_of(room: str) -> list[Path]:
    """The files of a room; for `runs`, without the rooms below it, which are no part of the engine."""
    below = {path for name in ORDER if name.startswith("runs/") for path in (PACKAGE / name).rglob("*.py")}
    return [path for path in (PACKAGE / room).rglob("*.py") if path not in below]


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = _room(path)
    assert room in ORDER, f"{room} has no place in the order"
    for name in _imports(path):
        parts = name.split(".")
        imported = _room_of(parts[1:]) if parts[0] == "optical_sweeps" and len(parts) > 1 else None
        if imported in ORDER:
            assert ORDER.index(imported) <= ORDER.index(room), f"{room} imports {name}, which comes later"


@pytest.mark.parametrize("room", FREE_OF)
def test_rooms_stay_free_of_what_they_must_not_know(room):
    for path in _files_of(room):
        for name in _imports(path):
            assert not any(f"{name}.".startswith(f"{package}.") for package in FREE_OF[room]), (path, name)
