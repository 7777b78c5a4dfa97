"""The public packages export what they say, with examples, and load only their own heavy dependencies."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import optical_sweeps

HEAVY = {"torch", "transformers", "lightning", "hydra", "omegaconf", "wandb", "matplotlib", "pandas", "ranx"}
ALLOWED = {
    "transport": {"torch"},
    "objectives": {"torch"},
    "retrieval": {"torch"},
    "evaluation": set(),
    "curves": set(),
}
"""Public package -> the heavy packages that using all of its names may load."""

LAZY = ("retrieval", "evaluation", "curves")


def _package(name: str):
    return importlib.import_module(f"optical_sweeps.{name}")


@pytest.mark.parametrize("name", ALLOWED)
def test_every_public_name_exists_and_is_documented(name):
    package = _package(name)
    assert package.__doc__
    assert package.__all__ == sorted(package.__all__, key=_order)
    for public in package.__all__:
        value = getattr(package, public)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{name}.{public} has no docstring"


def _order(name: str) -> tuple[int, str]:
    """Ruff's order of `__all__`: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", LAZY)
def test_lazy_packages_export_the_same_to_readers_type_checkers_and_python(name):
    package = _package(name)
    path = Path(package.__file__)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (branch,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in branch.body if isinstance(node, ast.ImportFrom)]
    typed = {alias.name: node.module for node in imports for alias in node.names}
    (assignment,) = branch.orelse
    modules = ast.literal_eval(assignment.value.args[1])
    assert typed == modules
    assert set(package.__all__) == set(modules)
    for public, module in modules.items():
        value = getattr(package, public)
        assert getattr(value, "__module__", module).startswith("optical_sweeps")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("name", ALLOWED)
def test_using_a_public_package_loads_no_other_heavy_one(name, tmp_path):
    program = f"import sys\nfrom optical_sweeps.{name} import *\nprint(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(sorted(ALLOWED[name]))


def test_type_checkers_find_the_types():
    assert (Path(optical_sweeps.__file__).parent / "py.typed").exists()
