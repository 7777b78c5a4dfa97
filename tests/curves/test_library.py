"""`curves` is a library: the examples in its docstrings run, and importing it loads nothing heavy."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

from optical_sweeps import curves

MODULES = [
    module.name for module in pkgutil.walk_packages(curves.__path__, f"{curves.__name__}.") if not module.ispkg
]


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_importing_every_module_loads_no_heavy_library() -> None:
    program = (
        f"import sys, {', '.join(MODULES)}\n"
        "heavy = {'lightning', 'hydra', 'wandb', 'torch', 'pandas', 'matplotlib', 'transformers', 'ranx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
