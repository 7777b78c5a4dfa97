"""Commands and libraries load no heavy package before they need it."""

import pkgutil
import subprocess
import sys

import pytest

from optical_sweeps import curves

COMMAND_LINE = "from optical_sweeps.cli import main; main()"
CURVES = [
    module.name for module in pkgutil.walk_packages(curves.__path__, f"{curves.__name__}.") if not module.ispkg
]
HEAVY = {"torch", "transformers", "lightning", "wandb", "matplotlib", "pandas", "ranx"}
CASES = {
    "--help": (COMMAND_LINE, {*HEAVY, "numpy", "hydra"}),
    "--version": (COMMAND_LINE, {*HEAVY, "numpy", "hydra"}),
    "sweep status --help": (COMMAND_LINE, HEAVY),
    "transport": (
        "import optical_sweeps.transport",
        {"numba", "ot", "lightning", "hydra", "omegaconf", "wandb"},
    ),
    "curves": (f"import {', '.join(CURVES)}", {*HEAVY, "hydra", "omegaconf"}),
    "kernels of measures": (
        "from optical_sweeps.evaluation.measures import warm_up; warm_up()",
        {"ir_datasets", "matplotlib", "pandas", "seaborn", "torch"},
    ),
    "ranx after its kernels": (
        "from optical_sweeps.evaluation.ranx_kernels import ranx_metrics; metrics = ranx_metrics()\n"
        "import ranx; from ranx import Qrels; assert ranx.metrics is metrics and callable(ranx.evaluate)",
        {"torch"},
    ),
    "judgements of a config": ("import optical_sweeps.runs.spec.corpus_section", HEAVY),
    "measures": ("import optical_sweeps.evaluation.measures", {"ranx", "numba"}),
}
"""What is executed, and the packages it must not load."""


@pytest.mark.parametrize("name", CASES)
def test_heavy_packages_are_not_imported(name, tmp_path):
    statement, heavy = CASES[name]
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print('LOADED', sorted({heavy} & set(sys.modules))))\n{statement}"
    )
    arguments = name.split() if statement == COMMAND_LINE else []
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_commands_that_load_a_student_import_no_training(tmp_path):
    """`search`, `evaluate` and `inspect` need torch and Transformers, but neither Lightning nor W&B."""
    program = (
        "import sys\nimport optical_sweeps.inspection.matched_tokens\n"
        "import optical_sweeps.runs.distillation.query_encoders\n"
        "print(sorted({'lightning', 'wandb', 'matplotlib', 'pandas', 'ranx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
