"""Fits and claims are a library: their examples run, and they load nothing heavy."""

import doctest
import importlib
import subprocess
import sys

import pytest

MODULES = (
    "baselines",
    "claims",
    "contrasts",
    "crossings",
    "drawings",
    "fits",
    "fitted_curve",
    "intervals",
    "laws",
    "paper_tables",
    "scores",
    "selection",
    "strata",
    "study_figures",
    "study_laws",
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"optical_sweeps.curves.{module}")).failed == 0


def test_nothing_heavy_is_loaded() -> None:
    imports = ", ".join(f"optical_sweeps.curves.{module}" for module in MODULES)
    program = (
        f"import sys, {imports}\n"
        "heavy = {'lightning', 'hydra', 'wandb', 'torch', 'pandas', 'matplotlib', 'transformers', 'ranx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
