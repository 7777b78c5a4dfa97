"""`benchmarks/gpu.py` on a CPU: every part runs, checks pass, and only packages of its list are needed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITHOUT = """
import runpy, sys
for name in "pydantic pydantic_core annotated_types jaxtyping langcodes hydra omegaconf ranx".split():
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    target = tmp_path_factory.mktemp("gpu") / "gpu.json"
    benchmark = [str(ROOT / "benchmarks/gpu.py"), "--device", "cpu", "--small", "--json", str(target)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("JAXTYPING_DISABLE", None)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *benchmark],
        cwd=target.parent, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(target.read_text())


def test_every_part_has_rows_and_every_check_passes(report):
    rows = report["rows"]
    assert {row["part"] for row in rows} == {"limits", "transport", "training", "encoding", "search", "ddp"}
    checks = [row["check"] for row in rows if row["check"]]
    assert all(check.startswith(("ok", "skipped")) for check in checks)
    assert all(row["value"] > 0 for row in rows if row["unit"])
    cases = {row["case"] for row in rows}
    assert {"float32, stored teacher", "bfloat16, online teacher", "2 processes on cpu"} <= cases
    fused = next(row for row in rows if row["case"].endswith("fused"))
    assert fused["check"].startswith("ok" if find_spec("triton") else "skipped: Triton is not installed")


def test_packages_that_only_validate_may_be_missing(report):
    assert report["stand_ins"] == ["pydantic", "pydantic_core", "annotated_types", "jaxtyping", "langcodes"]
