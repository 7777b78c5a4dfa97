"""Settings of every test: annotations are checked at run time, and no test reaches a network."""

import os
import signal
import sys
from pathlib import Path

import hypothesis
import jaxtyping
import pytest

# Parallel workers would compete for the cores. torch reads the variable when it is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure, and every run tests the same examples. HYPOTHESIS_PROFILE=search draws new ones.
BUSY = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("same", derandomize=True, database=None, **BUSY)
hypothesis.settings.register_profile("search", **BUSY)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A shell's background job ignores SIGINT, which tests of Ctrl-C send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

jaxtyping.install_import_hook("optical_sweeps", "beartype.beartype")

# Libraries that try to reach a network fail immediately.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

SLOW = (
    "integration/browser",
    "integration/slurm",
    "integration/test_expected_scores.py",
    "integration/test_interruptions.py",
    "integration/test_kills.py",
    "integration/test_pylate.py",
    "integration/test_synchronised.py",
    "integration/test_torchrun.py",
    "integration/test_wheel.py",
    "test_notebooks.py",
    "tracking/test_online.py",
)
"""Files and folders whose tests are marked `slow`: each takes more than 20 s, or needs another program."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(folder / name) for name in SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def seeded_torch():
    """Seed torch's global generator, so that a test draws the same numbers alone and after other tests."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def denormals_kept():
    """Undo the flushing of denormals after a run in this process, because later tests draw denormals."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)
