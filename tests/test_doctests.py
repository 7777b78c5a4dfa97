"""The examples in all docstrings run."""

import doctest
import importlib
from pathlib import Path

import pytest

import optical_sweeps

PACKAGE = Path(optical_sweeps.__file__).parent
MODULES = [
    ".".join(["optical_sweeps", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings_run(module):
    results = doctest.testmod(importlib.import_module(module))
    assert results.attempted > 0
    assert results.failed == 0
